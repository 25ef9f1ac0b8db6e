//! Every permutation of every kernel, in one table.
//!
//! A row is a recipe of a family for one shape and one choice of options; it is expanded for each
//! [`Tiling`](super::Tiling). The families list their own, beside the code that specialises them.
//! The shapes are not those of one network: they are chosen so that every arm of every template
//! is taken by some row, which `tests/shaders` proves, beside what it demands of each expansion.
//! A new arm fails there until a row takes it. `autorep shaders` lists the table and prints
//! expansions.

use super::FAMILIES;
use super::family::{Family, Permutation};

/// All permutations, family by family.
pub fn table() -> Vec<Permutation> {
    FAMILIES.iter().flat_map(Family::permutations).collect()
}
