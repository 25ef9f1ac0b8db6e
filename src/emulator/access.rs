//! Loads, stores and atomics of workgroup memory and buffers, with all that is checked on the way.

use super::finding::{Fault, Recorded};
use super::lane::Lane;
use super::program::{Instruction, LOST, Op, SHARED};
use super::race::{Access, Actor, Claim};
use super::source::Slot;
use super::workgroup::Workgroup;
use std::sync::atomic::Ordering;

impl Workgroup<'_> {
    pub(super) fn load_shared(&mut self, lane: &mut Lane, at: &Instruction, pc: u32) {
        let Some(word) = self.place(lane, at) else {
            lane.frame[at.dst as usize..][..usize::from(at.width)].fill(0);
            return;
        };
        let actor = lane.actor(pc);
        for i in 0..u32::from(at.width) {
            let value = self.visit_shared(word + i, Access::Read, actor);
            lane.frame[(at.dst + i) as usize] = value;
        }
    }

    pub(super) fn store_shared(&mut self, lane: &mut Lane, at: &Instruction, pc: u32) {
        let Some(word) = self.place(lane, at) else {
            return;
        };
        let actor = lane.actor(pc);
        for i in 0..u32::from(at.width) {
            self.visit_shared(word + i, Access::Write, actor);
            self.put_shared(word + i, lane.frame[(at.a + i) as usize]);
        }
    }

    pub(super) fn load_buffer(&mut self, lane: &mut Lane, at: &Instruction, pc: u32) {
        let Some(word) = self.place(lane, at) else {
            lane.frame[at.dst as usize..][..usize::from(at.width)].fill(0);
            return;
        };
        let actor = lane.actor(pc);
        for i in 0..u32::from(at.width) {
            let value = self.visit_buffer(at.a, word + i, Access::Read, actor);
            lane.frame[(at.dst + i) as usize] = value.unwrap_or(0);
        }
    }

    pub(super) fn store_buffer(&mut self, lane: &mut Lane, at: &Instruction, pc: u32) {
        let Some(word) = self.place(lane, at) else {
            return;
        };
        let actor = lane.actor(pc);
        for i in 0..u32::from(at.width) {
            if self
                .visit_buffer(at.dst, word + i, Access::Write, actor)
                .is_some()
            {
                self.put_buffer(at.dst, word + i, lane.frame[(at.a + i) as usize]);
            }
        }
    }

    /// The first word of an access, which is logged; `None` where there is no such element.
    #[inline]
    fn place(&mut self, lane: &Lane, at: &Instruction) -> Option<u32> {
        let dynamic = lane.frame[at.b as usize];
        if dynamic == LOST {
            self.log(at.d, lane.index, LOST);
            return None;
        }
        let word = at.c + dynamic;
        self.log(at.d, lane.index, word);
        Some(word)
    }

    pub(super) fn atomic(&mut self, lane: &mut Lane, at: &Instruction, pc: u32) {
        let (access, reads) = match at.op {
            Op::AtomicLoad => (Access::AtomicRead, true),
            Op::AtomicStore => (Access::AtomicWrite, false),
            _ => (Access::AtomicWrite, true),
        };
        let actor = lane.actor(pc);
        let held = self.place(lane, at).and_then(|word| {
            let value = match at.width {
                SHARED => self.visit_shared_as(word, access, actor, reads),
                resource => {
                    self.visit_buffer_as(u32::from(resource), word, access, actor, reads)?
                }
            };
            Some((word, value))
        });
        let given = lane.frame[at.a as usize];
        let was = held.map_or(0, |(_, value)| value);
        let new = match at.op {
            Op::AtomicLoad => None,
            Op::AtomicStore => Some(given),
            Op::Atomic(function) => Some(function.apply(was, given)),
            // The exchange that is called weak here never fails without cause.
            _ => (was == lane.frame[at.a as usize + 1]).then_some(given),
        };
        if at.op == Op::CompareExchange {
            lane.frame[at.dst as usize + 1] = u32::from(new.is_some());
        }
        if at.op != Op::AtomicStore {
            lane.frame[at.dst as usize] = was;
        }
        let (Some(new), Some((word, _))) = (new, held) else {
            return;
        };
        match at.width {
            SHARED => self.put_shared(word, new),
            resource => self.put_buffer(u32::from(resource), word, new),
        }
    }

    fn visit_shared(&mut self, word: u32, access: Access, actor: Actor) -> u32 {
        self.visit_shared_as(word, access, actor, access == Access::Read)
    }

    /// Notes an access of workgroup memory; what the word holds.
    #[inline]
    fn visit_shared_as(&mut self, word: u32, access: Access, actor: Actor, reads: bool) -> u32 {
        let cell = &mut self.worker.shared[word as usize];
        cell.refresh(self.worker.stamp);
        let rival = cell.visit(self.epochs.shared, access, actor);
        let (written, value) = (cell.written, cell.value);
        if self.settings.record_all {
            self.record(None, word, access, actor);
        }
        if let Some(rival) = rival {
            let variable = self.shared_variable(word);
            self.report_race(Fault::WorkgroupRace, (actor, access), rival, variable);
        }
        if reads && !written && !self.settings.zeroed_workgroup_memory {
            let variable = self.shared_variable(word);
            self.report(
                Fault::UnwrittenWorkgroup,
                actor.lane,
                actor.pc,
                variable,
                String::new,
            );
        }
        value
    }

    fn put_shared(&mut self, word: u32, value: u32) {
        let cell = &mut self.worker.shared[word as usize];
        cell.value = value;
        cell.written = true;
    }

    #[inline]
    fn visit_buffer(
        &mut self,
        resource: u32,
        word: u32,
        access: Access,
        actor: Actor,
    ) -> Option<u32> {
        self.visit_buffer_as(resource, word, access, actor, access == Access::Read)
    }

    /// Notes an access of a buffer; what the word holds, unless it lies outside.
    #[inline]
    fn visit_buffer_as(
        &mut self,
        resource: u32,
        word: u32,
        access: Access,
        actor: Actor,
        reads: bool,
    ) -> Option<u32> {
        let shared = &self.shared[resource as usize];
        let at = word as usize;
        let Some(held) = shared.words.get(at) else {
            let variable = self.buffer_element(resource, word);
            let length = shared.words.len();
            let detail = || format!("word {word} of {length}");
            self.report(
                Fault::OutOfBounds,
                actor.lane,
                actor.pc,
                Some(variable),
                detail,
            );
            return None;
        };
        if access != Access::Write {
            shared.read.set(at);
        }
        if access.is_write() {
            shared.stored.set(at);
        }
        let mut value = held.load(Ordering::Relaxed);
        let mut rival = None;
        let mut own = false;
        if let Some(claims) = &shared.claims {
            let cell = self.worker.pages[resource as usize].cell(at, self.worker.stamp);
            if cell.first(access) {
                claims.tell(
                    at,
                    access,
                    Claim {
                        workgroup: self.number,
                        actor,
                    },
                );
            }
            rival = cell.visit(self.epochs.of(self.program, resource), access, actor);
            own = cell.written;
            if own && !self.interleaved {
                value = cell.value;
            }
        }
        let unwritten = reads
            && !own
            && shared
                .written
                .as_ref()
                .is_some_and(|written| !written.get(at));
        if let Some(rival) = rival {
            let variable = Some(self.buffer_element(resource, word));
            self.report_race(Fault::StorageRace, (actor, access), rival, variable);
        }
        if unwritten {
            let variable = Some(self.buffer_element(resource, word));
            self.report(
                Fault::UnwrittenStorage,
                actor.lane,
                actor.pc,
                variable,
                String::new,
            );
        }
        let slot = Some(self.program.resources[resource as usize].slot);
        if self.settings.record_all || self.settings.record == slot {
            self.record(slot, word, access, actor);
        }
        Some(value)
    }

    fn record(&mut self, slot: Option<Slot>, word: u32, access: Access, actor: Actor) {
        self.recorded.push(Recorded {
            invocation: self.invocation(actor.lane),
            slot,
            word,
            access,
            line: self.program.place(actor.pc).line,
        });
    }

    #[inline]
    fn put_buffer(&mut self, resource: u32, word: u32, value: u32) {
        let cell = self.worker.pages[resource as usize].cell(word as usize, self.worker.stamp);
        let first = !cell.written;
        cell.written = true;
        cell.value = value;
        if self.interleaved {
            self.shared[resource as usize].put(word, value);
        } else if first {
            self.writes.push((resource, word));
        }
    }

    /// The buffer's variable and the element that holds a word.
    fn buffer_element(&self, resource: u32, word: u32) -> (String, Option<u64>) {
        let resource = &self.program.resources[resource as usize];
        (resource.name.clone(), Some(resource.element(word)))
    }

    fn shared_variable(&self, word: u32) -> Option<(String, Option<u64>)> {
        let variable = self
            .program
            .shared
            .iter()
            .find(|variable| variable.words.contains(&word))?;
        let element = (word - variable.words.start) / variable.stride.max(1);
        Some((variable.name.clone(), Some(u64::from(element))))
    }
}
