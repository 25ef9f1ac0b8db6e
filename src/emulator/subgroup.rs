//! What the lanes of a subgroup do together, once they have met.

use super::finding::Fault;
use super::lane::State;
use super::program::{Kind, Op, Subgroup};
use super::workgroup::Workgroup;
use naga::{CollectiveOperation, SubgroupOperation};

/// What a lane gets of one that is not there: a NaN with a pattern, which would show.
const ABSENT: u32 = 0x7fc0_dead;

impl Workgroup<'_> {
    /// Carries out the subgroup operation at which the lanes `here` wait; `first` is lane 0.
    pub(super) fn perform(&mut self, first: usize, here: &[usize]) {
        let Some(&lead) = here.first() else { return };
        let pc = self.lanes[lead].pc;
        let at = self.program.code[pc as usize];
        let Op::Subgroup(op) = at.op else { return };
        let width = usize::from(at.width);
        let size = self.settings.subgroup_size as usize;
        // What each lane brings, by its number in the subgroup.
        let mut given: Vec<Option<Vec<u32>>> = vec![None; size];
        for &lane in here {
            let words = &self.lanes[lane].frame[at.a as usize..at.a as usize + width];
            given[lane - first] = Some(words.to_vec());
        }
        let mut absent = Vec::new();
        for &lane in here {
            let me = lane - first;
            let operand = self.lanes[lane].frame[at.b as usize];
            let result = match op {
                Subgroup::Ballot => ballot(&given),
                Subgroup::Collective(op, reach, kind) => {
                    collect(&given, width, me, (op, reach, kind))
                }
                _ => {
                    let source = source(op, me as u32, operand, &given);
                    let words = source.and_then(|source| given.get(source as usize)?.clone());
                    if words.is_none() && is_strict(op) {
                        absent.push((lane as u32, operand));
                    }
                    words.unwrap_or_else(|| vec![ABSENT; width])
                }
            };
            let lane = &mut self.lanes[lane];
            lane.frame[at.dst as usize..at.dst as usize + result.len()].copy_from_slice(&result);
            lane.pc += 1;
            lane.steps += 1;
            lane.state = State::Ready;
        }
        for (lane, operand) in absent {
            self.report(Fault::LaneOutOfRange, lane, pc, None, || {
                format!("operand {operand} of {size} lanes")
            });
        }
    }
}

/// Whether a lane that is not there is always a fault. Those at the end of a row shift in what is not
/// there as a matter of course, and drop it.
fn is_strict(op: Subgroup) -> bool {
    matches!(
        op,
        Subgroup::Broadcast | Subgroup::Shuffle | Subgroup::QuadBroadcast
    )
}

/// The lane that a lane takes its value from.
fn source(op: Subgroup, me: u32, operand: u32, given: &[Option<Vec<u32>>]) -> Option<u32> {
    match op {
        Subgroup::BroadcastFirst => given
            .iter()
            .position(Option::is_some)
            .map(|first| first as u32),
        Subgroup::Broadcast | Subgroup::Shuffle => Some(operand),
        Subgroup::ShuffleDown => me.checked_add(operand),
        Subgroup::ShuffleUp => me.checked_sub(operand),
        Subgroup::ShuffleXor => Some(me ^ operand),
        Subgroup::QuadBroadcast => (operand < 4).then_some(me & !3 | operand),
        Subgroup::QuadSwap(mask) => Some(me ^ u32::from(mask)),
        Subgroup::Ballot | Subgroup::Collective(..) => None,
    }
}

fn ballot(given: &[Option<Vec<u32>>]) -> Vec<u32> {
    let mut words = vec![0; 4];
    for (lane, value) in given.iter().enumerate() {
        if value.as_ref().is_some_and(|value| value[0] != 0) {
            words[lane / 32] |= 1 << (lane % 32);
        }
    }
    words
}

/// A reduction or scan in the order of the lanes. Devices may take another order for floats.
fn collect(
    given: &[Option<Vec<u32>>],
    width: usize,
    me: usize,
    (op, reach, kind): (SubgroupOperation, CollectiveOperation, Kind),
) -> Vec<u32> {
    let end = match reach {
        CollectiveOperation::Reduce => given.len(),
        CollectiveOperation::InclusiveScan => me + 1,
        CollectiveOperation::ExclusiveScan => me,
    };
    let neutral = neutral(op, kind);
    let mut sum: Option<Vec<u32>> = None;
    for value in given[..end].iter().flatten() {
        sum = Some(match sum {
            None => value.clone(),
            Some(sum) => sum
                .iter()
                .zip(value)
                .map(|(&x, &y)| combine(op, kind, x, y))
                .collect(),
        });
    }
    sum.unwrap_or_else(|| vec![neutral; width])
}

fn neutral(op: SubgroupOperation, kind: Kind) -> u32 {
    match (op, kind) {
        (SubgroupOperation::Mul, Kind::F32) => 1f32.to_bits(),
        (SubgroupOperation::Mul | SubgroupOperation::All, _) => 1,
        (SubgroupOperation::And, Kind::Bool) => 1,
        (SubgroupOperation::And, _) => u32::MAX,
        (SubgroupOperation::Min, Kind::F32) => f32::INFINITY.to_bits(),
        (SubgroupOperation::Min, Kind::I32) => i32::MAX as u32,
        (SubgroupOperation::Min, _) => u32::MAX,
        (SubgroupOperation::Max, Kind::F32) => f32::NEG_INFINITY.to_bits(),
        (SubgroupOperation::Max, Kind::I32) => i32::MIN as u32,
        _ => 0,
    }
}

fn combine(op: SubgroupOperation, kind: Kind, x: u32, y: u32) -> u32 {
    use super::alu::Binary as B;
    let of_kind = |float: B, signed: B, unsigned: B| match kind {
        Kind::F32 => float.apply(x, y),
        Kind::I32 => signed.apply(x, y),
        Kind::U32 | Kind::Bool => unsigned.apply(x, y),
    };
    match op {
        SubgroupOperation::All | SubgroupOperation::And => x & y,
        SubgroupOperation::Any | SubgroupOperation::Or => x | y,
        SubgroupOperation::Xor => x ^ y,
        SubgroupOperation::Add => of_kind(B::AddF, B::AddI, B::AddI),
        SubgroupOperation::Mul => of_kind(B::MulF, B::MulI, B::MulI),
        SubgroupOperation::Min => of_kind(B::MinF, B::MinI, B::MinU),
        SubgroupOperation::Max => of_kind(B::MaxF, B::MaxI, B::MaxU),
    }
}
