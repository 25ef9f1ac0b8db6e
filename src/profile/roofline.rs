//! What the adapter can do: multiply-adds and bytes a second, measured once by two small kernels
//! and kept in the user's cache folder.
//!
//! A kernel that must do `flops` and move `bytes` takes at least
//! `max(flops / peak, bytes / bandwidth)`: the roofline model (Williams, Waterman and Patterson,
//! CACM 52(4), 2009). Both roofs are what the best of several plain kernels reached, not a data
//! sheet's figures, so that 100 % is within reach. A kernel whose operands stay in a cache can
//! pass the bandwidth's roof.

use super::measure::{Effort, timings};
use crate::gpu::{AdapterClass, GpuError, MAX_GRID, Tape, View, cache};
use crate::kernels::{Compiler, Cost, Recipe, roofline};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The two roofs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Roofline {
    /// Floating-point operations a second; a multiply-add counts two.
    pub flops_per_second: f64,
    /// Bytes read and written a second.
    pub bytes_per_second: f64,
}

/// Samples of each variant. The best counts: the roof is what can be done.
const EFFORT: Effort = Effort {
    samples: 25,
    budget: Duration::from_millis(500),
};

/// Bytes of the sums that the chains leave, at the most.
const MOST_SUMS: u64 = 1 << 30;

/// A dispatch that lasts this long hides what it costs to begin one.
const LONG: f64 = 2e-3;

impl Roofline {
    /// Seconds that work of `cost` takes at the least.
    pub fn floor(&self, cost: Cost) -> f64 {
        (cost.flops / self.flops_per_second).max(cost.bytes / self.bytes_per_second)
    }

    /// The roofs of the compiler's adapter and preset: measured before, or now. With `anew` they
    /// are measured whatever the cache says. The flag says whether they were measured now.
    ///
    /// # Errors
    /// [`GpuError`] where memory runs out, a shader is refused or the device is gone.
    pub fn of(compiler: &Compiler, anew: bool) -> Result<(Self, bool), GpuError> {
        let cache = Cache::new(cache::folder());
        let key = key(compiler);
        if let Some(known) = cache.read().get(&key).filter(|_| !anew) {
            return Ok((*known, false));
        }
        let measured = Self::measure(compiler)?;
        cache.insert(key, measured);
        Ok((measured, true))
    }

    /// The roofs where something has beaten those of [`Self::of`]: the machine was busy when they were measured. They
    /// are measured once more, and of each the better is kept.
    ///
    /// # Errors
    /// [`GpuError`] where memory runs out, a shader is refused or the device is gone.
    pub fn raised(self, compiler: &Compiler) -> Result<Self, GpuError> {
        let raised = self.better(Self::measure(compiler)?);
        Cache::new(cache::folder()).insert(key(compiler), raised);
        Ok(raised)
    }

    /// The higher of each roof.
    fn better(self, other: Self) -> Self {
        Self {
            flops_per_second: self.flops_per_second.max(other.flops_per_second),
            bytes_per_second: self.bytes_per_second.max(other.bytes_per_second),
        }
    }

    /// Measures both roofs.
    ///
    /// # Errors
    /// [`GpuError`] where memory runs out, a shader is refused or the device is gone.
    pub fn measure(compiler: &Compiler) -> Result<Self, GpuError> {
        Ok(Self {
            flops_per_second: peak(compiler)?,
            bytes_per_second: bandwidth(compiler)?,
        })
    }

    fn is_sound(&self) -> bool {
        let positive = |rate: f64| rate > 0.0 && rate.is_finite();
        positive(self.flops_per_second) && positive(self.bytes_per_second)
    }
}

/// The best of the chains.
fn peak(compiler: &Compiler) -> Result<f64, GpuError> {
    let gpu = compiler.gpu;
    let factors = gpu.upload("factors", &[0.999f32, 0.001, 0.0, 0.0])?.view();
    let mut best = 0f64;
    for chains in roofline::CHAINS {
        // Ever larger grids, until beginning one no longer counts.
        let workgroup = 4 * u64::from(compiler.tiling.workgroup());
        let most = MOST_SUMS.min(gpu.report.max_binding_bytes) / workgroup;
        let mut grid = Some([256, 1]);
        while let Some(now) = grid {
            let recipe = roofline::multiply_add(compiler, chains, now)?;
            let invocations = roofline::invocations(compiler, now) as u64;
            let sums = gpu.allocate("sums", 4 * invocations)?.view();
            let seconds = seconds(compiler, &recipe, &[[factors.clone(), sums]])?;
            let flops: f64 = recipe.costs().map(|cost| cost.flops).sum();
            best = best.max(flops / seconds);
            grid = larger(now, most).filter(|_| seconds <= LONG);
        }
    }
    Ok(best)
}

/// A grid of four times as many workgroups, at most `most` of them, of which none of the axes is
/// too long. `None` where there is no larger one.
fn larger([columns, rows]: [u32; 2], most: u64) -> Option<[u32; 2]> {
    let wanted = (4 * u64::from(columns) * u64::from(rows)).min(most);
    let rows_wanted = wanted.div_ceil(u64::from(MAX_GRID)).max(1);
    let next = [wanted / rows_wanted, rows_wanted];
    let next = next.map(|n| n.min(u64::from(MAX_GRID)) as u32);
    let count = |[columns, rows]: [u32; 2]| u64::from(columns) * u64::from(rows);
    (count(next) > count([columns, rows])).then_some(next)
}

/// The best of the copies. Source and target together are far larger than any cache.
fn bandwidth(compiler: &Compiler) -> Result<f64, GpuError> {
    let gpu = compiler.gpu;
    // A software adapter shares its cores with other programs: the longer a dispatch, the less
    // likely it has them for itself. A GPU wants work that keeps all of it busy.
    let pieces = match gpu.class() {
        AdapterClass::Software => 16,
        AdapterClass::Integrated | AdapterClass::Discrete => 1,
    };
    let bytes = (128u64 << 20).min(gpu.report.max_binding_bytes) / pieces;
    let [x, y] = [
        gpu.allocate("copy source", bytes * pieces)?,
        gpu.allocate("copy target", bytes * pieces)?,
    ];
    let mut best = 0f64;
    for vectors in roofline::VECTORS {
        let own = 16 * vectors as u64 * u64::from(compiler.tiling.workgroup());
        let columns = (bytes / own).min(32_768);
        let grid = [columns as u32, (bytes / own / columns) as u32];
        let recipe = roofline::copy(compiler, vectors, grid)?;
        let piece = |index| [&x, &y].map(|buffer| buffer.range(index * bytes, bytes));
        let pieces: Vec<[View; 2]> = (0..pieces).map(piece).collect();
        let seconds = seconds(compiler, &recipe, &pieces)?;
        let moved: f64 = recipe.costs().map(|cost| cost.bytes).sum();
        best = best.max(moved / seconds);
    }
    Ok(best)
}

/// Seconds of the best run of a recipe of one kernel on any of several sets of arguments.
fn seconds(compiler: &Compiler, recipe: &Recipe, arguments: &[[View; 2]]) -> Result<f64, GpuError> {
    let gpu = compiler.gpu;
    let mut tape = Tape::new();
    for arguments in arguments {
        for dispatch in recipe.bind(gpu, arguments, &[], "roofline")? {
            tape.push(dispatch);
        }
    }
    // The first run compiles.
    tape.time(gpu)?;
    let times = timings(EFFORT, || tape.time(gpu))?.dispatches();
    let best = times.iter().map(|time| time.best).fold(f64::MAX, f64::min);
    // A clock that stands still would make the rate infinite.
    Ok(best.max(1e-9))
}

/// What the figures depend on.
fn key(compiler: &Compiler) -> String {
    let report = &compiler.gpu.report;
    let mut key = format!(
        "{}, {}, {}, preset {}",
        report.name, report.backend, report.driver, compiler.tiling
    );
    if report.class == AdapterClass::Software {
        let cores = std::thread::available_parallelism().map_or(1, |n| n.get());
        key += &format!(", {cores} cores");
    }
    key
}

/// Figures kept from run to run, in a file; nowhere without a folder.
struct Cache(Option<PathBuf>);

impl Cache {
    fn new(folder: Option<PathBuf>) -> Self {
        Self(folder.map(|folder| folder.join("roofline.json")))
    }

    /// What the file holds. One that cannot be read, or that holds nonsense, holds nothing.
    fn read(&self) -> BTreeMap<String, Roofline> {
        let text = self.0.as_ref().and_then(|path| std::fs::read(path).ok());
        let known = text.and_then(|text| serde_json::from_slice(&text).ok());
        let mut known: BTreeMap<String, Roofline> = known.unwrap_or_default();
        known.retain(|_, roofline| roofline.is_sound());
        known
    }

    /// Keeps figures. Where that is not possible they are measured again the next time.
    fn insert(&self, key: String, roofline: Roofline) {
        let Some(path) = &self.0 else {
            return;
        };
        let mut known = self.read();
        known.insert(key, roofline);
        if let Err(error) = write(path, &known) {
            log::debug!("{error:#}");
        }
    }
}

fn write(path: &Path, known: &BTreeMap<String, Roofline>) -> anyhow::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let text = serde_json::to_vec_pretty(known)?;
    Ok(crate::files::write_atomic(path, &text)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOFLINE: Roofline = Roofline {
        flops_per_second: 200e9,
        bytes_per_second: 8e9,
    };

    #[test]
    fn the_floor_is_the_higher_of_the_two() {
        let cost = |flops, bytes| Cost { flops, bytes };
        // 1 GFLOP takes 5 ms, 80 MB take 10 ms.
        assert_eq!(ROOFLINE.floor(cost(1e9, 0.0)), 5e-3);
        assert_eq!(ROOFLINE.floor(cost(1e9, 80e6)), 10e-3);
        assert_eq!(ROOFLINE.floor(cost(4e9, 80e6)), 20e-3);
        assert_eq!(ROOFLINE.floor(Cost::default()), 0.0);
    }

    #[test]
    fn a_raised_roof_is_never_lower() {
        let other = Roofline {
            flops_per_second: 100e9,
            bytes_per_second: 9e9,
        };
        let best = Roofline {
            flops_per_second: 200e9,
            bytes_per_second: 9e9,
        };
        assert_eq!(ROOFLINE.better(other), best);
        assert_eq!(other.better(ROOFLINE), best);
    }

    #[test]
    fn grids_grow_as_far_as_an_adapter_allows_and_no_further() {
        for most in [1, 300, 65_535, 65_536, 100_000, 1 << 22, 1 << 31] {
            let (mut grid, mut steps) = ([256, 1], 0);
            while let Some(next) = larger(grid, most) {
                let [before, after] = [grid, next].map(|[x, y]| u64::from(x) * u64::from(y));
                assert!(before < after && after <= 4 * before, "{grid:?} {next:?}");
                assert!(after <= most, "{next:?} of at most {most}");
                assert!(next.iter().all(|&n| n <= MAX_GRID), "{next:?}");
                (grid, steps) = (next, steps + 1);
                assert!(steps < 20, "there is an end");
            }
            let reached = u64::from(grid[0]) * u64::from(grid[1]);
            // Rows are of one length: what is left over is less than a row.
            assert!(
                reached + u64::from(MAX_GRID) > most.max(256),
                "{grid:?} of {most}"
            );
        }
    }

    #[test]
    fn what_was_measured_is_kept_and_what_is_damaged_is_not_believed() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::new(Some(folder.path().join("autorep")));
        assert!(cache.read().is_empty());
        cache.insert("a".into(), ROOFLINE);
        cache.insert("b".into(), ROOFLINE);
        assert_eq!(cache.read().len(), 2);
        assert_eq!(cache.read()["a"], ROOFLINE);

        let file = folder.path().join("autorep/roofline.json");
        for damaged in ["", "{", "[1, 2]", "{\"a\": 3}"] {
            std::fs::write(&file, damaged).unwrap();
            assert!(cache.read().is_empty(), "{damaged}");
        }
        let text = r#"{"a": {"flops_per_second": 0, "bytes_per_second": 1e9}}"#;
        std::fs::write(&file, text).unwrap();
        assert!(cache.read().is_empty());
        cache.insert("a".into(), ROOFLINE);
        assert_eq!(cache.read()["a"], ROOFLINE);

        let nowhere = Cache::new(None);
        nowhere.insert("a".into(), ROOFLINE);
        assert!(nowhere.read().is_empty());
    }
}
