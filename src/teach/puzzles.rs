//! Twelve exercises on the program's own kernels, from ReLU to a tiled convolution.
//!
//! Each has a page of text (`assets/teach/puzzles/NAME.toml`), a blank, and a solution that a test holds to
//! the same checks as a visitor's. The data is drawn here; what is right, the twins say.

use super::case::{Case, CaseBuffer, noise, wide};
use super::judge::Emulated;
use crate::reference::{batch_norm, conv2d, dapa, gate, pool};
use serde::{Deserialize, Serialize};

/// An exercise.
pub struct Puzzle {
    /// Its name in addresses.
    pub name: &'static str,
    /// The kernel of the program that it leads to.
    pub kernel: &'static str,
    text: &'static str,
    /// What a visitor begins with.
    pub blank: &'static str,
    /// One way to do it.
    pub solution: &'static str,
    /// What must hold beside that it is right.
    pub limits: Limits,
    grid: [u32; 3],
    buffers: fn(u32) -> Vec<CaseBuffer>,
}

/// Most that a solution may take; what is `None` is free.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Limits {
    /// Words that the busiest invocation reads from buffers.
    pub reads: Option<u64>,
    /// Words that the busiest invocation writes to buffers.
    pub writes: Option<u64>,
    /// Loads from buffers by all invocations, of any width.
    pub loads: Option<u64>,
    /// Bank conflicts.
    pub conflicts: Option<u64>,
    /// Segments of 128 bytes that 32 neighbours touch together, on average.
    pub segments: Option<f64>,
}

/// What a page says of an exercise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Text {
    /// Its title.
    pub title: String,
    /// What is to be computed, as a formula.
    pub formula: String,
    /// What it is for, and what is to be done.
    pub task: String,
    /// What it teaches, in a few words.
    pub idea: String,
    /// Hints, which open one by one.
    pub hints: Vec<String>,
    /// What a solution may reflect on.
    pub after: String,
}

/// A limit beside what a text took.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Score {
    /// What is limited.
    pub what: &'static str,
    /// What was taken.
    pub taken: f64,
    /// The most.
    pub most: f64,
    /// Whether that holds.
    pub holds: bool,
}

impl Puzzle {
    /// What the page says.
    ///
    /// # Errors
    /// Where the file is no such text: a test reads them all.
    pub fn text(&self) -> Result<Text, toml::de::Error> {
        toml::from_str(self.text)
    }

    /// The case, with this text in the place of the visitor's.
    pub fn case(&self, source: &str) -> Case {
        Case::single(source, "main", self.grid, (self.buffers)(0))
    }

    /// The same with numbers that no page shows: what only writes the expected ones down is wrong here.
    pub fn unseen(&self, source: &str) -> Case {
        Case::single(source, "main", self.grid, (self.buffers)(UNSEEN))
    }

    /// Each limit with what was taken.
    pub fn score(&self, emulated: &Emulated) -> Vec<Score> {
        let tally = &emulated.tally;
        let Limits {
            reads,
            writes,
            loads,
            conflicts,
            segments,
        } = self.limits;
        let count = |most: Option<u64>| most.map(|most| most as f64);
        let rows = [
            (
                "words that the busiest invocation reads",
                tally.busiest_reads as f64,
                count(reads),
            ),
            (
                "words that the busiest invocation writes",
                tally.busiest_writes as f64,
                count(writes),
            ),
            (
                "loads from buffers, by all invocations",
                tally.loads as f64,
                count(loads),
            ),
            (
                "bank conflicts",
                tally.bank_conflicts as f64,
                count(conflicts),
            ),
            (
                "segments of 128 bytes per request",
                tally.segments as f64 / (tally.requests as f64).max(1.0),
                segments,
            ),
        ];
        rows.into_iter()
            .filter_map(|(what, taken, most)| {
                let most = most?;
                Some(Score {
                    what,
                    taken,
                    most,
                    holds: taken <= most,
                })
            })
            .collect()
    }

    /// Whether everything holds.
    pub fn solved(&self, emulated: &Emulated) -> bool {
        emulated.passes() && self.score(emulated).iter().all(|score| score.holds)
    }
}

/// How far the draws of what is not shown lie from those of what is.
const UNSEEN: u32 = 1000;

/// The exercise of this name.
pub fn find(name: &str) -> Option<&'static Puzzle> {
    PUZZLES.iter().find(|puzzle| puzzle.name == name)
}

/// A puzzle whose three files bear its name.
macro_rules! puzzle {
    ($name:literal, $kernel:literal, $grid:expr, $buffers:expr, $limits:expr) => {
        Puzzle {
            name: $name,
            kernel: $kernel,
            text: include_str!(concat!("../../assets/teach/puzzles/", $name, ".toml")),
            blank: include_str!(concat!("../../assets/teach/puzzles/", $name, ".blank.wgsl")),
            solution: include_str!(concat!(
                "../../assets/teach/puzzles/",
                $name,
                ".solution.wgsl"
            )),
            limits: $limits,
            grid: $grid,
            buffers: $buffers,
        }
    };
}

const FREE: Limits = Limits {
    reads: None,
    writes: None,
    loads: None,
    conflicts: None,
    segments: None,
};

const fn busiest(reads: u64, writes: u64) -> Limits {
    Limits {
        reads: Some(reads),
        writes: Some(writes),
        ..FREE
    }
}

/// The exercises, in order.
pub const PUZZLES: &[Puzzle] = &[
    puzzle!("relu", "gate.forward", [4, 1, 1], relu, busiest(1, 1)),
    puzzle!(
        "add",
        "add.add",
        [4, 1, 1],
        add,
        Limits {
            loads: Some(512),
            ..FREE
        }
    ),
    puzzle!(
        "gate",
        "gate.forward",
        [2, 1, 1],
        gate_forward,
        busiest(6, 1)
    ),
    puzzle!(
        "slope",
        "gate.backward",
        [2, 1, 1],
        gate_slope,
        busiest(7, 1)
    ),
    puzzle!(
        "mask-gradient",
        "gate.backward",
        [1, 1, 1],
        mask_gradient,
        busiest(20, 1)
    ),
    puzzle!(
        "reduction",
        "pool.global",
        [8, 1, 1],
        reduction,
        busiest(4, 1)
    ),
    puzzle!("moments", "gate.moments", [3, 1, 1], moments, busiest(5, 4)),
    puzzle!(
        "batch-norm",
        "batch_norm.finish",
        [1, 1, 1],
        norm,
        busiest(4, 4)
    ),
    puzzle!("dapa", "dapa.finish", [1, 1, 1], polynomials, busiest(2, 4)),
    puzzle!(
        "pack",
        "conv2d_tiled.pack",
        [2, 2, 1],
        pack,
        Limits {
            conflicts: Some(0),
            segments: Some(1.0),
            ..FREE
        }
    ),
    puzzle!(
        "convolution",
        "conv2d_tiled.gather",
        [32, 1, 1],
        convolution,
        busiest(72, 1)
    ),
    puzzle!(
        "tiles",
        "conv2d_tiled.gather",
        [2, 2, 8],
        convolution,
        busiest(8, 1)
    ),
];

fn relu(draw: u32) -> Vec<CaseBuffer> {
    let x = noise(1 + draw, 200);
    let y = gate::forward(&wide(&x), gate::Activation::Relu, 1, 1);
    vec![
        CaseBuffer::given("x", &[10, 20], &x),
        CaseBuffer::wanted("y", &[10, 20], y),
    ]
}

fn add(draw: u32) -> Vec<CaseBuffer> {
    let (a, b) = (noise(2 + draw, 1024), noise(3 + draw, 1024));
    let sum = crate::reference::add::add(&wide(&a), &wide(&b));
    let shape = [32, 32];
    vec![
        CaseBuffer::given("a", &shape, &a),
        CaseBuffer::given("b", &shape, &b),
        CaseBuffer::wanted("y", &shape, sum),
    ]
}

/// Images, channels and pixels of the gate's exercises.
const GATE: [usize; 3] = [4, 2, 16];

/// A mask of zeros and ones, and a polynomial for each channel.
fn gated(draw: u32, channels: usize, pixels: usize) -> (Vec<f32>, Vec<f32>) {
    let mask = noise(5 + draw, channels * pixels).into_iter();
    let polynomials = noise(6 + draw, 4 * channels).into_iter().enumerate();
    (
        mask.map(|v| f32::from(u8::from(v > 0.0))).collect(),
        polynomials
            .map(|(i, v)| if i % 4 == 3 { 0.0 } else { v })
            .collect(),
    )
}

/// Rows of a `vec4` buffer.
fn rows(values: &[f32]) -> Vec<[f64; 4]> {
    values
        .chunks_exact(4)
        .map(|row| std::array::from_fn(|k| f64::from(row[k])))
        .collect()
}

fn gate_forward(draw: u32) -> Vec<CaseBuffer> {
    let [n, c, p] = GATE;
    let (z, (mask, coefficients)) = (noise(4 + draw, n * c * p), gated(draw, c, p));
    let activation = gate::Activation::Gate {
        mask: &wide(&mask),
        coefficients: &rows(&coefficients),
    };
    let y = gate::forward(&wide(&z), activation, n, c);
    vec![
        CaseBuffer::given("z", &GATE, &z),
        CaseBuffer::given("mask", &[c, p], &mask),
        CaseBuffer::given("c", &[c, 4], &coefficients),
        CaseBuffer::wanted("y", &GATE, y),
    ]
}

fn gate_slope(draw: u32) -> Vec<CaseBuffer> {
    let [n, c, p] = GATE;
    let (dy, z) = (noise(7 + draw, n * c * p), noise(4 + draw, n * c * p));
    let (mask, coefficients) = gated(draw, c, p);
    let activation = gate::Activation::Gate {
        mask: &wide(&mask),
        coefficients: &rows(&coefficients),
    };
    let slopes = gate::backward(&wide(&dy), &wide(&z), activation, n, c);
    vec![
        CaseBuffer::given("dy", &GATE, &dy),
        CaseBuffer::given("z", &GATE, &z),
        CaseBuffer::given("mask", &[c, p], &mask),
        CaseBuffer::given("c", &[c, 4], &coefficients),
        CaseBuffer::wanted("dz", &GATE, slopes.z),
    ]
}

fn mask_gradient(draw: u32) -> Vec<CaseBuffer> {
    let shape @ [n, c, p] = [8, 4, 16];
    let (dy, z) = (noise(8 + draw, n * c * p), noise(9 + draw, n * c * p));
    let (mask, coefficients) = gated(draw, c, p);
    let activation = gate::Activation::Gate {
        mask: &wide(&mask),
        coefficients: &rows(&coefficients),
    };
    let slopes = gate::backward(&wide(&dy), &wide(&z), activation, n, c);
    vec![
        CaseBuffer::given("dy", &shape, &dy),
        CaseBuffer::given("z", &shape, &z),
        CaseBuffer::given("c", &[c, 4], &coefficients),
        CaseBuffer::wanted("dm", &[c, p], slopes.mask),
    ]
}

fn reduction(draw: u32) -> Vec<CaseBuffer> {
    let x = noise(10 + draw, 8 * 256);
    let y = pool::global(256, &wide(&x));
    vec![
        CaseBuffer::given("x", &[8, 16, 16], &x),
        CaseBuffer::wanted("y", &[8], y),
    ]
}

fn moments(draw: u32) -> Vec<CaseBuffer> {
    let [n, c, p] = [4, 3, 64];
    let z: Vec<f32> = noise(11 + draw, n * c * p)
        .iter()
        .map(|v| v + 0.5)
        .collect();
    let centre = [0.4, 0.5, 0.6];
    let mut sums = vec![0.0; 4 * c];
    for (i, &value) in z.iter().enumerate() {
        let channel = i / p % c;
        let d = f64::from(value) - f64::from(centre[channel]);
        for k in 0..4 {
            sums[4 * channel + k] += d.powi(k as i32 + 1);
        }
    }
    vec![
        CaseBuffer::given("z", &[n, c, p], &z),
        CaseBuffer::given("centre", &[c], &centre),
        CaseBuffer::wanted("sums", &[c, 4], sums),
    ]
}

fn norm(draw: u32) -> Vec<CaseBuffer> {
    const CHANNELS: usize = 40;
    const COUNT: usize = 64;
    let u: Vec<f32> = noise(12 + draw, CHANNELS * COUNT)
        .iter()
        .map(|v| 2.0 * v + 1.0)
        .collect();
    let (gamma, beta) = (noise(13 + draw, CHANNELS), noise(14 + draw, CHANNELS));
    let (mean, variance) = batch_norm::moments(&wide(&u), 1, CHANNELS);
    let mut sums = Vec::new();
    let mut expected = Vec::new();
    for c in 0..CHANNELS {
        let count = COUNT as f64;
        sums.push((mean[c] * count) as f32);
        sums.push(((variance[c] + mean[c] * mean[c]) * count) as f32);
        let (gamma, beta) = (f64::from(gamma[c]), f64::from(beta[c]));
        expected.extend(batch_norm::norm(mean[c], variance[c], gamma, beta, 1e-5));
    }
    vec![
        CaseBuffer::given("sums", &[CHANNELS, 2], &sums),
        CaseBuffer::given("gamma", &[CHANNELS], &gamma),
        CaseBuffer::given("beta", &[CHANNELS], &beta),
        CaseBuffer::wanted("norm", &[CHANNELS, 4], expected),
    ]
}

fn polynomials(draw: u32) -> Vec<CaseBuffer> {
    const CHANNELS: usize = 32;
    let (means, spreads) = (noise(15 + draw, CHANNELS), noise(16 + draw, CHANNELS));
    let pairs = means.iter().zip(&spreads);
    let moments: Vec<f32> = pairs.flat_map(|(&u, &s)| [u, 0.6 + 0.5 * s]).collect();
    let mut expected = Vec::new();
    for pair in moments.chunks_exact(2) {
        let (u, variance) = (f64::from(pair[0]), f64::from(pair[1]));
        expected.extend(dapa::fit(u, variance.sqrt(), 2));
        expected.push(0.0);
    }
    vec![
        CaseBuffer::given("moments", &[CHANNELS, 2], &moments),
        CaseBuffer::wanted("c", &[CHANNELS, 4], expected),
    ]
}

fn pack(draw: u32) -> Vec<CaseBuffer> {
    const SIDE: usize = 64;
    let w = noise(17 + draw, SIDE * SIDE);
    let turned = (0..SIDE * SIDE).map(|i| f64::from(w[i % SIDE * SIDE + i / SIDE]));
    let turned = turned.collect();
    vec![
        CaseBuffer::given("w", &[SIDE, SIDE], &w),
        CaseBuffer::wanted("packed", &[SIDE, SIDE], turned),
    ]
}

fn convolution(draw: u32) -> Vec<CaseBuffer> {
    let shape = conv2d::Shape {
        batch: 1,
        in_channels: 4,
        out_channels: 8,
        size: (16, 16),
        kernel: 3,
        stride: 1,
        padding: 1,
    };
    let (x, w) = (noise(18 + draw, 4 * 256), noise(19 + draw, 8 * 4 * 9));
    let y = conv2d::forward(&shape, &wide(&x), &wide(&w));
    vec![
        CaseBuffer::given("x", &[4, 16, 16], &x),
        CaseBuffer::given("w", &[8, 4, 3, 3], &w),
        CaseBuffer::wanted("y", &[8, 16, 16], y),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::teach::judge::{differs, emulate};

    #[test]
    fn twelve_solutions_pass_and_twelve_blanks_do_not() {
        assert_eq!(PUZZLES.len(), 12);
        for puzzle in PUZZLES {
            let name = puzzle.name;
            let solved = emulate(&puzzle.case(puzzle.solution))
                .unwrap_or_else(|message| panic!("{name}: {message:?}"));
            let (findings, first) = (&solved.findings, &solved.results[0].first);
            assert!(solved.passes(), "{name}: {findings:?} {first:?}");
            assert!(
                puzzle.solved(&solved),
                "{name}: {:?}",
                puzzle.score(&solved)
            );
            let unseen = emulate(&puzzle.unseen(puzzle.solution)).unwrap();
            assert!(puzzle.solved(&unseen), "{name} on what is not shown");
            let blank = emulate(&puzzle.case(puzzle.blank))
                .unwrap_or_else(|message| panic!("{name}: {message:?}"));
            assert!(!puzzle.solved(&blank), "{name}");
            assert!(
                !blank.passes(),
                "{name}: a blank is not right by its limits alone"
            );
        }
    }

    #[test]
    fn texts_are_whole() {
        for puzzle in PUZZLES {
            let text = puzzle
                .text()
                .unwrap_or_else(|error| panic!("{}: {error}", puzzle.name));
            assert!(text.hints.len() >= 2, "{}", puzzle.name);
            assert!(!text.title.is_empty() && !text.after.is_empty());
        }
    }

    #[test]
    fn an_answer_that_is_written_down_is_wrong_elsewhere() {
        let puzzle = find("reduction").unwrap();
        let expected = puzzle.case("").buffers[1].expected.clone().unwrap();
        let answers: Vec<String> = expected.iter().map(|y| format!("{y:.9}")).collect();
        let source = format!(
            "@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@compute @workgroup_size(1)
fn main(@builtin(workgroup_id) group: vec3u) {{
    var known = array<f32, 8>({});
    y[group.x] = known[group.x] + 0.0 * x[0];
}}",
            answers.join(", ")
        );
        assert!(puzzle.solved(&emulate(&puzzle.case(&source)).unwrap()));
        let wrong = differs(&puzzle.unseen(&source)).unwrap();
        assert!(wrong.starts_with("y[0] is "), "{wrong}");
        assert_eq!(differs(&puzzle.unseen(puzzle.solution)), None);
    }

    #[test]
    fn limits_ask_for_what_is_taught() {
        // A right answer that goes to memory for every product.
        let tiles = find("tiles").unwrap();
        let direct = find("convolution").unwrap().solution;
        let case = Case::single(direct, "main", [32, 1, 1], convolution(0));
        let emulated = emulate(&case).unwrap();
        assert!(emulated.passes() && !tiles.solved(&emulated));
        // A transposition whose tile has no padding.
        let pack = find("pack").unwrap();
        let unpadded = pack.solution.replace("33u", "32u").replace("1056", "1024");
        assert_ne!(unpadded, pack.solution);
        let emulated = emulate(&pack.case(&unpadded)).unwrap();
        assert!(emulated.passes() && !pack.solved(&emulated));
    }
}
