//! The dispatches of a step in order, over values that do not have memory yet, and the plan
//! that gives it to them.
//!
//! A value lives from the first item that binds it to the last. Values whose lives do not
//! overlap share a slot: a buffer that is as large as the largest of them. Within one item all
//! operands are alive, so no dispatch ever sees two of its operands in one buffer.

use crate::gpu::{Buffer, Dispatch, Gpu, GpuError, View};
use crate::kernels::{Cost, Recipe};

/// One dispatch of a plan with what it must do at the least.
#[derive(Debug, Clone)]
pub struct PlannedDispatch {
    /// The bound kernel; its owner is the layer.
    pub dispatch: Dispatch,
    /// What it must do at the least.
    pub cost: Cost,
}

impl PlannedDispatch {
    /// The dispatches of a recipe, each with its stage's cost.
    pub fn of(recipe: &Recipe, dispatches: Vec<Dispatch>) -> impl Iterator<Item = Self> {
        let planned = dispatches.into_iter().zip(recipe.costs());
        planned.map(|(dispatch, cost)| Self { dispatch, cost })
    }
}

/// A tensor or scratch area without memory yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ValueId(usize);

/// Where an operand of an item lies.
#[derive(Debug, Clone)]
pub enum Storage {
    /// Memory that the schedule plans.
    Planned(ValueId),
    /// Memory that exists: weights, images, counters.
    Fixed(View),
}

impl From<ValueId> for Storage {
    fn from(value: ValueId) -> Self {
        Storage::Planned(value)
    }
}

impl From<View> for Storage {
    fn from(view: View) -> Self {
        Storage::Fixed(view)
    }
}

struct Item {
    recipe: Recipe,
    operands: Vec<Storage>,
    scratch: Vec<ValueId>,
    label: String,
}

/// Dispatches in order, over values without memory.
#[derive(Default)]
pub struct Schedule {
    items: Vec<Item>,
    /// Bytes of each value.
    values: Vec<u64>,
}

/// The slots that a schedule's values share.
#[derive(Debug, PartialEq, Eq)]
struct Assignment {
    /// Slot of each value.
    slot_of: Vec<usize>,
    /// Bytes of each slot.
    slots: Vec<u64>,
}

/// A schedule whose values have memory.
pub struct Bound {
    /// Dispatches of each item.
    pub items: Vec<Vec<PlannedDispatch>>,
    /// The buffer of each slot.
    pub buffers: Vec<Buffer>,
    /// Bytes of those that were allocated.
    pub own_bytes: u64,
    /// Bytes of all values alive at the worst moment: no plan can do with less.
    pub least_bytes: u64,
}

impl Schedule {
    /// A new value of `elements` f32.
    pub fn value(&mut self, elements: usize) -> ValueId {
        self.bytes(4 * elements as u64)
    }

    fn bytes(&mut self, bytes: u64) -> ValueId {
        self.values.push(bytes.max(16));
        ValueId(self.values.len() - 1)
    }

    /// Appends a recipe over `operands`.
    pub fn push(&mut self, recipe: Recipe, operands: Vec<Storage>, label: &str) {
        let scratch = recipe
            .scratch
            .iter()
            .map(|&bytes| self.bytes(bytes))
            .collect();
        self.items.push(Item {
            recipe,
            operands,
            scratch,
            label: label.to_owned(),
        });
    }

    /// Number of items so far.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// First and last item that binds each value.
    fn lives(&self) -> Vec<Option<(usize, usize)>> {
        let mut lives: Vec<Option<(usize, usize)>> = vec![None; self.values.len()];
        for (time, item) in self.items.iter().enumerate() {
            let operands = item.operands.iter().filter_map(|operand| match operand {
                Storage::Planned(value) => Some(*value),
                Storage::Fixed(_) => None,
            });
            for value in operands.chain(item.scratch.iter().copied()) {
                let (first, _) = lives[value.0].unwrap_or((time, time));
                lives[value.0] = Some((first, time));
            }
        }
        lives
    }

    /// Greedy assignment from the largest value to the smallest: the slot of a value is the
    /// smallest one that is free all its life, else a new one (Pisarchyk & Lee 2020, "Efficient
    /// memory management for deep neural net inference", greedy by size).
    fn assign(&self) -> Assignment {
        let lives = self.lives();
        let mut order: Vec<usize> = (0..self.values.len())
            .filter(|&v| lives[v].is_some())
            .collect();
        // Of values of one size the one that is born first chooses first.
        order.sort_by_key(|&v| (std::cmp::Reverse(self.values[v]), lives[v]));
        let mut slots: Vec<u64> = Vec::new();
        let mut tenants: Vec<Vec<(usize, usize)>> = Vec::new();
        let mut slot_of = vec![usize::MAX; self.values.len()];
        for value in order {
            let Some((first, last)) = lives[value] else {
                continue;
            };
            let is_free = |&slot: &usize| {
                let mut lives = tenants[slot].iter();
                lives.all(|&(begin, end)| last < begin || end < first)
            };
            // No slot is smaller than the values that are still to come.
            let best = (0..slots.len()).filter(is_free).min_by_key(|&s| slots[s]);
            let slot = best.unwrap_or_else(|| {
                slots.push(self.values[value]);
                tenants.push(Vec::new());
                slots.len() - 1
            });
            tenants[slot].push((first, last));
            slot_of[value] = slot;
        }
        Assignment { slot_of, slots }
    }

    fn least_bytes(&self) -> u64 {
        let lives = self.lives();
        let alive_at = |time: usize| -> u64 {
            let alive = lives.iter().zip(&self.values);
            alive
                .filter(|(life, _)| life.is_some_and(|(a, b)| (a..=b).contains(&time)))
                .map(|(_, bytes)| bytes)
                .sum()
        };
        (0..self.items.len()).map(alive_at).max().unwrap_or(0)
    }

    /// Finds a buffer for every slot, among those lent or a new one, and binds every item.
    ///
    /// # Errors
    /// When a slot is larger than the adapter allows or finds no memory, and when the adapter
    /// does not take a kernel.
    pub fn bind(&self, gpu: &Gpu, lent: &[Buffer]) -> Result<Bound, GpuError> {
        let assignment = self.assign();
        let (mut lent, mut own_bytes) = (lent.to_vec(), 0);
        let mut buffers = Vec::with_capacity(assignment.slots.len());
        for &bytes in &assignment.slots {
            let fitting = (0..lent.len()).filter(|&i| lent[i].bytes() >= bytes);
            buffers.push(match fitting.min_by_key(|&i| lent[i].bytes()) {
                Some(index) => lent.swap_remove(index),
                None => {
                    own_bytes += bytes;
                    gpu.allocate("activations", bytes)?
                }
            });
        }
        let view = |value: ValueId| {
            buffers[assignment.slot_of[value.0]].range(0, self.values[value.0].next_multiple_of(4))
        };
        let items = self
            .items
            .iter()
            .map(|item| {
                let operands: Vec<View> = item
                    .operands
                    .iter()
                    .map(|operand| match operand {
                        Storage::Planned(value) => view(*value),
                        Storage::Fixed(fixed) => fixed.clone(),
                    })
                    .collect();
                let scratch: Vec<View> = item.scratch.iter().map(|&v| view(v)).collect();
                let dispatches = item.recipe.bind(gpu, &operands, &scratch, &item.label)?;
                Ok(PlannedDispatch::of(&item.recipe, dispatches).collect())
            })
            .collect::<Result<Vec<_>, GpuError>>()?;
        Ok(Bound {
            items,
            buffers,
            own_bytes,
            least_bytes: self.least_bytes(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A schedule whose items bind the given values (with sizes).
    fn schedule(sizes: &[u64], items: &[&[usize]]) -> Schedule {
        let mut schedule = Schedule::default();
        for &bytes in sizes {
            schedule.bytes(bytes);
        }
        for item in items {
            let operands = item.iter().map(|&v| ValueId(v).into()).collect();
            schedule.push(Recipe::default(), operands, "item");
        }
        schedule
    }

    #[test]
    fn values_alive_together_never_share_a_slot() {
        // A pseudo-random schedule: every pair of overlapping lives must lie apart.
        let sizes: Vec<u64> = (0..60).map(|i| 16 + (i * 7919) % 1000).collect();
        let items: Vec<Vec<usize>> = (0..90usize)
            .map(|t| (0..3).map(|k| (t / 2 + k * k * 5 + t * k) % 60).collect())
            .collect();
        let items: Vec<&[usize]> = items.iter().map(Vec::as_slice).collect();
        let schedule = schedule(&sizes, &items);
        let (lives, assignment) = (schedule.lives(), schedule.assign());
        for a in 0..60 {
            for b in 0..a {
                let (Some((a0, a1)), Some((b0, b1))) = (lives[a], lives[b]) else {
                    continue;
                };
                let overlap = a0 <= b1 && b0 <= a1;
                assert!(!overlap || assignment.slot_of[a] != assignment.slot_of[b]);
            }
            if lives[a].is_some() {
                assert!(assignment.slots[assignment.slot_of[a]] >= sizes[a]);
            }
        }
        let total: u64 = assignment.slots.iter().sum();
        assert!(total >= schedule.least_bytes());
    }

    #[test]
    fn a_chain_needs_two_slots() {
        let schedule = schedule(&[100; 5], &[&[0, 1], &[1, 2], &[2, 3], &[3, 4]]);
        assert_eq!(schedule.assign().slots, [100, 100]);
        assert_eq!(schedule.least_bytes(), 200);
    }
}
