//! A workgroup: its invocations, the order in which they run, and where they meet.

use super::counts::{Logs, Totals};
use super::finding::{Fault, Finding, Findings, Invocation, Recorded, Side};
use super::lane::{Lane, State};
use super::memory::{Pages, Shared};
use super::program::{Input, Op, Program};
use super::race::{Access, Actor, Cell};
use super::random::Random;
use super::settings::Run;
use std::sync::atomic::Ordering;

/// Most instructions that an invocation runs at a time while workgroups are interleaved.
const LONGEST_SLICE: usize = 64;

/// What a thread keeps from one workgroup to the next, so as not to make it anew.
#[derive(Debug)]
pub(super) struct Worker {
    /// Serial number of the workgroup at hand: cells with another one are as good as empty.
    pub(super) stamp: u32,
    /// Cells of the buffers that may be written.
    pub(super) pages: Vec<Pages>,
    /// Cells of workgroup memory.
    pub(super) shared: Vec<Cell>,
    logs: Logs,
    lanes: Vec<Lane>,
    hits: Vec<u64>,
}

impl Worker {
    pub(super) fn new(program: &Program, shared: &[Shared]) -> Self {
        Self {
            stamp: 0,
            pages: shared
                .iter()
                .map(|buffer| Pages::new(buffer.words.len()))
                .collect(),
            shared: vec![Cell::EMPTY; program.shared_words as usize],
            logs: Logs::new(program),
            lanes: Vec::new(),
            hits: vec![0; program.code.len()],
        }
    }
}

/// Barriers so far, by the memory that they order.
#[derive(Debug, Default)]
pub(super) struct Epochs {
    pub(super) shared: u32,
    storage: u32,
    texture: u32,
}

impl Epochs {
    #[inline]
    pub(super) fn of(&self, program: &Program, resource: u32) -> u32 {
        match program.resources[resource as usize].texel_words {
            Some(_) => self.texture,
            None => self.storage,
        }
    }
}

/// What a workgroup leaves.
#[derive(Debug, Default)]
pub(super) struct Left {
    pub(super) findings: Findings,
    /// Words that it wrote, for others to see: resource, word, value.
    pub(super) writes: Vec<[u32; 3]>,
    pub(super) recorded: Vec<Recorded>,
}

/// A workgroup that runs.
#[derive(Debug)]
pub(super) struct Workgroup<'a> {
    pub(super) program: &'a Program,
    pub(super) settings: &'a Run,
    pub(super) shared: &'a [Shared],
    totals: &'a Totals,
    pub(super) worker: &'a mut Worker,
    pub(super) id: [u32; 3],
    /// Its number in the grid.
    pub(super) number: u32,
    pub(super) interleaved: bool,
    pub(super) epochs: Epochs,
    pub(super) hits: Vec<u64>,
    findings: Findings,
    pub(super) writes: Vec<(u32, u32)>,
    pub(super) recorded: Vec<Recorded>,
    pub(super) lanes: Vec<Lane>,
    random: Random,
    barriers: u64,
}

impl<'a> Workgroup<'a> {
    pub(super) fn new(
        program: &'a Program,
        settings: &'a Run,
        shared: &'a [Shared],
        totals: &'a Totals,
        worker: &'a mut Worker,
        number: u32,
        interleaved: bool,
    ) -> Self {
        worker.stamp += 1;
        let id = settings.workgroup(number);
        let mut lanes = std::mem::take(&mut worker.lanes);
        lanes.resize_with(program.invocations() as usize, Lane::default);
        for (lane, index) in lanes.iter_mut().zip(0..) {
            lane.frame.clone_from(&program.frame);
            for &(input, register) in &program.inputs {
                lane.frame[register as usize] = launch(program, settings, shared, id, index, input);
            }
            lane.entered.resize(program.loops.len(), 0);
            lane.written.clear();
            if settings.find_unwritten_locals {
                lane.written.resize(program.frame.len(), true);
            }
            (lane.index, lane.pc, lane.steps, lane.jumped) = (index, 0, 0, 0);
            lane.state = State::Ready;
        }
        Self {
            hits: std::mem::take(&mut worker.hits),
            random: Random::new(settings.seed, u64::from(number)),
            program,
            settings,
            shared,
            totals,
            worker,
            id,
            number,
            interleaved,
            epochs: Epochs::default(),
            findings: Findings::default(),
            writes: Vec::new(),
            recorded: Vec::new(),
            lanes,
            barriers: 0,
        }
    }

    /// Lets every invocation that can run do so, in random order, and those that wait meet. Whether
    /// there is more to do.
    pub(super) fn turn(&mut self) -> bool {
        // The others would most likely spend their budgets in the same loop.
        let endless = |lane: &Lane| lane.state == State::Exhausted;
        if self.totals.is_over(self.settings.most_instructions) || self.lanes.iter().any(endless) {
            return false;
        }
        let mut ready: Vec<usize> = (0..self.lanes.len())
            .filter(|&lane| self.lanes[lane].state == State::Ready)
            .collect();
        if ready.is_empty() {
            return self.meet();
        }
        self.random.shuffle(&mut ready);
        for at in ready {
            let slice = match self.interleaved {
                true => 1 + self.random.below(LONGEST_SLICE) as u64,
                false => u64::MAX,
            };
            let mut lane = std::mem::take(&mut self.lanes[at]);
            let before = lane.steps;
            self.advance(&mut lane, slice);
            self.totals.took(lane.steps - before);
            let ended = lane.state == State::Exhausted;
            self.lanes[at] = lane;
            if ended {
                break;
            }
        }
        true
    }

    /// Once nobody can run: subgroup operations first, then a barrier.
    fn meet(&mut self) -> bool {
        let size = self.settings.subgroup_size as usize;
        let mut met = false;
        for first in (0..self.lanes.len()).step_by(size) {
            let lanes = first..self.lanes.len().min(first + size);
            if lanes
                .clone()
                .any(|lane| self.lanes[lane].state == State::Subgroup)
            {
                self.meet_in_subgroup(lanes);
                met = true;
            }
        }
        met || self.meet_at_barrier()
    }

    /// An invocation's place in the control flow: its instruction, and the rounds of the loops around it.
    fn standing(&self, lane: usize) -> (u32, Vec<u32>) {
        let lane = &self.lanes[lane];
        let at = &self.program.code[lane.pc as usize];
        let rounds = match at.op {
            Op::Barrier => at.b,
            _ => at.c,
        };
        let rounds = &self.program.rounds[rounds as usize];
        (
            lane.pc,
            rounds
                .iter()
                .map(|&round| lane.frame[round as usize])
                .collect(),
        )
    }

    fn meet_in_subgroup(&mut self, lanes: std::ops::Range<usize>) {
        let waiting: Vec<usize> = lanes
            .clone()
            .filter(|&lane| self.lanes[lane].state == State::Subgroup)
            .collect();
        // Those that are furthest behind go first, as a compiler that joins them again would have it.
        let Some(lead) = waiting
            .iter()
            .copied()
            .min_by_key(|&lane| self.standing(lane))
        else {
            return;
        };
        let standing = self.standing(lead);
        let here: Vec<usize> = waiting
            .into_iter()
            .filter(|&lane| self.standing(lane) == standing)
            .collect();
        let absent = lanes.clone().find(|lane| !here.contains(lane));
        if let Some(absent) = absent {
            self.report_absence(Fault::SubgroupNotUniform, lead, absent);
        }
        self.perform(lanes.start, &here);
    }

    fn meet_at_barrier(&mut self) -> bool {
        let waiting: Vec<usize> = (0..self.lanes.len())
            .filter(|&lane| self.lanes[lane].state == State::Barrier)
            .collect();
        let Some(&lead) = waiting.first() else {
            return false;
        };
        let standing = self.standing(lead);
        let absent = (0..self.lanes.len()).find(|&lane| match self.lanes[lane].state {
            State::Barrier => self.standing(lane) != standing,
            _ => true,
        });
        if let Some(absent) = absent {
            self.report_absence(Fault::BarrierNotUniform, lead, absent);
        }
        let mut flags = naga::Barrier::empty();
        for lane in waiting {
            let lane = &mut self.lanes[lane];
            flags |= naga::Barrier::from_bits_truncate(self.program.code[lane.pc as usize].a);
            lane.pc += 1;
            lane.state = State::Ready;
        }
        self.epochs.shared += u32::from(flags.contains(naga::Barrier::WORK_GROUP));
        self.epochs.storage += u32::from(flags.contains(naga::Barrier::STORAGE));
        self.epochs.texture += u32::from(flags.contains(naga::Barrier::TEXTURE));
        self.barriers += 1;
        self.worker.logs.flush(self.totals);
        true
    }

    /// Gives back what the thread lent, and says what is left.
    pub(super) fn finish(mut self) -> Left {
        self.worker.logs.flush(self.totals);
        self.totals
            .barriers
            .fetch_add(self.barriers, Ordering::Relaxed);
        for (hits, total) in self.hits.iter_mut().zip(&self.totals.hits) {
            if *hits > 0 {
                total.fetch_add(std::mem::take(hits), Ordering::Relaxed);
            }
        }
        self.worker.hits = self.hits;
        self.worker.lanes = self.lanes;
        let stamp = self.worker.stamp;
        let pages = &mut self.worker.pages;
        let value = |&(resource, word): &(u32, u32)| {
            [
                resource,
                word,
                pages[resource as usize].cell(word as usize, stamp).value,
            ]
        };
        Left {
            findings: self.findings,
            writes: self.writes.iter().map(value).collect(),
            recorded: self.recorded,
        }
    }

    #[inline]
    pub(super) fn log(&mut self, log: u32, lane: u32, value: u32) {
        if self.settings.count_warps {
            self.worker.logs.push(log, lane, value);
        }
    }

    pub(super) fn invocation(&self, lane: u32) -> Invocation {
        Invocation {
            workgroup: self.id,
            local_index: lane,
        }
    }

    /// The variable at a register.
    pub(super) fn local_variable(&self, register: u32) -> Option<String> {
        let variable = self
            .program
            .locals
            .iter()
            .find(|(registers, _)| registers.contains(&register));
        variable.map(|(_, name)| name.clone())
    }

    fn side(&self, lane: u32, pc: u32, access: Option<Access>) -> Side {
        Side {
            place: self.program.place(pc),
            invocation: self.invocation(lane),
            access,
        }
    }

    pub(super) fn report(
        &mut self,
        fault: Fault,
        lane: u32,
        pc: u32,
        variable: Option<(String, Option<u64>)>,
        detail: impl FnOnce() -> String,
    ) {
        let side = self.side(lane, pc, None);
        let (variable, element) = split(variable);
        self.findings.push(fault, [pc, 0], || Finding {
            fault,
            side,
            other: None,
            variable,
            element,
            detail: detail(),
            count: 1,
        });
    }

    pub(super) fn report_race(
        &mut self,
        fault: Fault,
        (actor, access): (Actor, Access),
        (rival, rival_access): (Actor, Access),
        variable: Option<(String, Option<u64>)>,
    ) {
        let side = self.side(actor.lane, actor.pc, Some(access));
        let other = Some(self.side(rival.lane, rival.pc, Some(rival_access)));
        let (variable, element) = split(variable);
        let detail = format!("{access:?} and {rival_access:?}");
        self.findings.push(fault, [actor.pc, rival.pc], || Finding {
            fault,
            side,
            other,
            variable,
            element,
            detail,
            count: 1,
        });
    }

    /// One waits, and another one is elsewhere.
    fn report_absence(&mut self, fault: Fault, waiting: usize, absent: usize) {
        let (lead, other) = (&self.lanes[waiting], &self.lanes[absent]);
        let (pc, elsewhere, detail) = match other.state {
            State::Ended => (lead.pc, other.jumped, "the other one has ended"),
            _ if other.pc == lead.pc => (
                lead.pc,
                other.pc,
                "the other one is in another round of the loop",
            ),
            _ => (lead.pc, other.pc, "the other one waits elsewhere"),
        };
        let side = self.side(waiting as u32, pc, None);
        let other = Some(self.side(absent as u32, elsewhere, None));
        self.findings.push(fault, [pc, elsewhere], || Finding {
            fault,
            side,
            other,
            variable: None,
            element: None,
            detail: detail.to_owned(),
            count: 1,
        });
    }

    /// An invocation has spent its budget. It names the innermost loop that had at least half of it without
    /// being left: those within come to their ends and begin anew, those around wait for it. Where there is
    /// none, the outermost.
    pub(super) fn endless(&mut self, lane: &Lane) {
        let program = self.program;
        let around = || {
            let all = program.loops.iter().zip(&lane.entered);
            all.filter(|(around, _)| around.code.contains(&lane.pc))
        };
        let stays = |entered: u64| lane.steps - entered >= self.settings.budget / 2;
        let endless = around()
            .rfind(|&(_, &entered)| stays(entered))
            .or_else(|| around().next())
            .map(|(endless, _)| endless);
        let pc = endless.map_or(lane.pc, |endless| endless.code.start);
        let mut side = self.side(lane.index, lane.pc, None);
        let detail = format!("{} instructions, the last at {}", lane.steps, side.place);
        if let Some(endless) = endless {
            side.place = program.places[endless.place as usize].clone();
        }
        self.findings.push(Fault::EndlessLoop, [pc, 0], || Finding {
            fault: Fault::EndlessLoop,
            side,
            other: None,
            variable: None,
            element: None,
            detail,
            count: 1,
        });
    }
}

fn split(variable: Option<(String, Option<u64>)>) -> (Option<String>, Option<u64>) {
    match variable {
        Some((name, element)) => (Some(name), element),
        None => (None, None),
    }
}

/// A word that an invocation finds in its frame.
fn launch(
    program: &Program,
    settings: &Run,
    shared: &[Shared],
    group: [u32; 3],
    index: u32,
    input: Input,
) -> u32 {
    let [x, y, _] = program.workgroup_size;
    let local = [index % x, index / x % y, index / (x * y)];
    match input {
        Input::GlobalId(axis) => {
            let axis = usize::from(axis);
            group[axis]
                .wrapping_mul(program.workgroup_size[axis])
                .wrapping_add(local[axis])
        }
        Input::LocalId(axis) => local[usize::from(axis)],
        Input::LocalIndex => index,
        Input::WorkgroupId(axis) => group[usize::from(axis)],
        Input::NumWorkgroups(axis) => settings.workgroups[usize::from(axis)],
        Input::SubgroupSize => settings.subgroup_size,
        Input::SubgroupId => index / settings.subgroup_size,
        Input::NumSubgroups => program.invocations().div_ceil(settings.subgroup_size),
        Input::SubgroupLane => index % settings.subgroup_size,
        Input::Length {
            resource,
            head,
            stride,
        } => {
            let words = shared[resource as usize].words.len() as u32;
            words.saturating_sub(head) / stride.max(1)
        }
        Input::Extent { resource, axis } => shared[resource as usize].extent[usize::from(axis)],
    }
}
