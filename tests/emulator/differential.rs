//! Small generated programs, on every adapter and in the emulator: where the two differ, one of them, or naga's way to
//! the adapter, has a corner wrong. Integers and floats that are whole, so that the results must be the same bits.

use crate::program;
use autorep::emulator::{Buffer, Run};
use autorep::gpu::{AdapterChoice, Binding, Gpu, Pipeline, Tape, adapter};

/// Programs, each with a seed of its own.
const PROGRAMS: u32 = 48;
/// Statements of a program, those within others not counted.
const STATEMENTS: usize = 10;
const INVOCATIONS: usize = 64;

/// Draws what comes next.
struct Draw(u32);

impl Draw {
    fn word(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0
    }

    fn below(&mut self, n: u32) -> u32 {
        ((u64::from(self.word()) * u64::from(n)) >> 32) as u32
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len() as u32) as usize]
    }

    /// An unsigned expression.
    fn unsigned(&mut self, depth: u32) -> String {
        if depth == 0 {
            return match self.below(6) {
                // Known only when it runs: an overflow of constants is refused.
                0 => format!("({}u + zero)", self.word() >> self.below(32)),
                1 => "lane".into(),
                2 => format!("v.{}", self.pick(&["x", "y", "z", "w"])),
                3 => format!("list[{} & 3u]", self.pick(&["a", "b", "lane"])),
                _ => self.pick(&["a", "b", "pair.first"]).into(),
            };
        }
        let depth = depth - 1;
        let [x, y] = [0, 1].map(|_| self.unsigned(depth));
        match self.below(14) {
            0..=3 => format!("({x} {} {y})", self.pick(&["+", "-", "*", "&", "|", "^"])),
            4 => format!("({x} {} ({y} & 31u))", self.pick(&["<<", ">>"])),
            5 => format!("({x} {} ({y} | 1u))", self.pick(&["/", "%"])),
            6 => format!("{}({x}, {y})", self.pick(&["min", "max"])),
            7 => {
                let of = [
                    "~",
                    "countOneBits",
                    "reverseBits",
                    "firstLeadingBit",
                    "firstTrailingBit",
                ];
                let of = [&of[..], &["countLeadingZeros", "countTrailingZeros"]].concat();
                format!("{}({x})", self.pick(&of))
            }
            8 => format!("extractBits({x}, {y} & 31u, {}u)", self.below(33)),
            9 => format!(
                "insertBits({x}, {y}, {}u, {}u)",
                self.below(33),
                self.below(33)
            ),
            10 => format!("select({x}, {y}, {})", self.condition(depth)),
            11 => format!("bitcast<u32>({})", self.signed(depth)),
            12 => format!("mixed({x}, {y})"),
            _ => format!("u32({})", self.whole(depth)),
        }
    }

    /// A signed expression.
    fn signed(&mut self, depth: u32) -> String {
        if depth == 0 {
            return match self.below(4) {
                0 => format!("({}i + i32(zero))", self.below(2000) as i32 - 1000),
                1 => "pair.second".into(),
                _ => "s".into(),
            };
        }
        let depth = depth - 1;
        let [x, y] = [0, 1].map(|_| self.signed(depth));
        match self.below(9) {
            0..=2 => format!("({x} {} {y})", self.pick(&["+", "-", "*", "&", "|", "^"])),
            3 => format!(
                "({x} {} ({} & 31u))",
                self.pick(&["<<", ">>"]),
                self.unsigned(depth)
            ),
            4 => format!("({x} {} max(abs({y}), 3i))", self.pick(&["/", "%"])),
            5 => format!(
                "{}({x})",
                self.pick(&["abs", "-", "~", "sign", "firstLeadingBit"])
            ),
            6 => format!("clamp({x}, -70000i, {}i)", self.below(90_000)),
            7 => format!("extractBits({x}, {}u, {}u)", self.below(33), self.below(33)),
            _ => format!("bitcast<i32>({})", self.unsigned(depth)),
        }
    }

    /// A float from 0 to 2²⁴ without a fraction, whatever is fused on the way to it.
    fn whole(&mut self, depth: u32) -> String {
        let x = format!("f32({} & 0xfffu)", self.unsigned(depth));
        let y = format!("f32({} & 0xfffu)", self.unsigned(depth));
        match self.below(6) {
            0 => format!("({x} * {y})"),
            1 => format!("abs({x} - {y})"),
            2 => format!("{}({x}, {y})", self.pick(&["min", "max"])),
            3 => format!(
                "{}({x} * 0.25)",
                self.pick(&["floor", "ceil", "trunc", "round"])
            ),
            4 => format!("dot(vec2f({x}, 3.0), vec2f(2.0, {y}))"),
            _ => format!("fma({x}, 4.0, {y})"),
        }
    }

    fn condition(&mut self, depth: u32) -> String {
        let compare = self.pick(&["<", "<=", ">", ">=", "==", "!="]);
        match self.below(3) {
            0 => format!("({} {compare} {})", self.signed(depth), self.signed(depth)),
            1 => format!("({} {compare} {})", self.whole(depth), self.whole(depth)),
            _ => format!(
                "({} {compare} {})",
                self.unsigned(depth),
                self.unsigned(depth)
            ),
        }
    }

    fn statement(&mut self, depth: u32) -> String {
        let value = self.unsigned(2);
        match self.below(if depth == 0 { 7 } else { 10 }) {
            0 => format!("a = {value};"),
            1 => format!("b {}= {value};", self.pick(&["+", "^", "-", "*"])),
            2 => format!("s = {};", self.signed(2)),
            3 => format!("v.{} = {value};", self.pick(&["x", "y", "z", "w"])),
            4 => format!("list[({}) & 3u] = {value};", self.unsigned(1)),
            5 => format!("pair = Pair({value}, {});", self.signed(1)),
            6 => format!(
                "v = v.{} + vec4u({value});",
                self.pick(&["wzyx", "xxyz", "yxwz"])
            ),
            7 => {
                let [then, other] = [0, 1].map(|_| self.statement(depth - 1));
                format!("if {} {{ {then} }} else {{ {other} }}", self.condition(1))
            }
            8 => {
                let (times, body) = (1 + self.below(5), self.statement(depth - 1));
                let leave = format!("if ((a ^ i) & 7u) == {}u {{ break; }}", self.below(8));
                format!("for (var i = 0u; i < {times}u; i++) {{ {body} {leave} }}")
            }
            _ => {
                let [one, two, rest] = [0, 1, 2].map(|_| self.statement(depth - 1));
                format!(
                    "switch {value} & 3u {{ case 0u: {{ {one} }} case 1u, 3u: {{ {two} }} default: {{ {rest} }} }}"
                )
            }
        }
    }
}

fn source(statements: &[String]) -> String {
    format!(
        "struct Pair {{ first: u32, second: i32 }}
@group(0) @binding(0) var<storage, read_write> out: array<u32>;
@group(0) @binding(1) var<storage, read> x: array<u32>;
fn mixed(p: u32, q: u32) -> u32 {{
    if p > q {{ return p - q; }}
    return (p ^ q) * 5u;
}}
@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) lane: u32) {{
    let zero = x[0];
    var a = x[lane];
    var b = a * 0x9e3779b9u;
    var s = bitcast<i32>(b) >> 7u;
    var v = vec4u(a, b, lane, 7u);
    var list = array<u32, 4>(1u, a, b, lane);
    var pair = Pair(b, s);
    {}
    out[lane] = a ^ (b * 3u) ^ bitcast<u32>(s) ^ (v.x + v.y * 5u + v.z * 7u + v.w * 11u)
        ^ (list[0] + list[1] * 3u + list[2] * 9u + list[3] * 27u) ^ (pair.first - bitcast<u32>(pair.second));
}}
",
        statements.join("\n    ")
    )
}

fn given() -> Vec<u32> {
    let given = (0..INVOCATIONS as u32).map(|i| i.wrapping_mul(0x85eb_ca6b));
    // The ends of every range.
    let ends = [0, 1, u32::MAX, 1 << 31, (1 << 31) - 1];
    ends.into_iter().chain(given).take(INVOCATIONS).collect()
}

fn emulated(source: &str) -> Vec<u32> {
    let buffers = [
        Buffer::unwritten(0, INVOCATIONS),
        Buffer::of_words(1, &given()),
    ];
    let outcome = program(source).run(&Run::new([1, 1, 1]), &buffers).unwrap();
    assert_eq!(outcome.findings, [], "{source}");
    outcome.buffer(0).unwrap().words()
}

fn computed(gpu: &Gpu, source: &str) -> Vec<u32> {
    let out = gpu.upload("out", &[0u32; INVOCATIONS]).unwrap();
    let x = gpu.upload("x", &given()).unwrap();
    let bindings = [&out, &x].map(|buffer| Binding::Buffer(buffer.view()));
    let pipeline = Pipeline::new("generated", source, "main");
    let mut tape = Tape::new();
    tape.push(pipeline.bind(gpu, &bindings, [1, 1, 1], "test").unwrap());
    tape.submit(gpu).unwrap();
    gpu.read(&out.view()).unwrap()
}

/// The fewest of the statements of which `differs` still holds.
fn shrunk(mut statements: Vec<String>, differs: impl Fn(&[String]) -> bool) -> Vec<String> {
    let mut index = 0;
    while index < statements.len() {
        let mut fewer = statements.clone();
        fewer.remove(index);
        match differs(&fewer) {
            true => statements = fewer,
            false => index += 1,
        }
    }
    statements
}

#[test]
fn generated_programs_give_the_same_bits() {
    let reports = adapter::list(&AdapterChoice::default()).expect("adapters");
    assert!(!reports.is_empty(), "no adapter: `make test` installs one");
    for report in reports {
        let choice = AdapterChoice {
            adapter: Some(report.index.to_string()),
            ..Default::default()
        };
        let gpu = Gpu::open(&choice).expect("device");
        for seed in 1..=PROGRAMS {
            let mut draw = Draw(seed.wrapping_mul(0x9e37_79b9));
            let statements: Vec<String> = (0..STATEMENTS).map(|_| draw.statement(2)).collect();
            let differs = |statements: &[String]| {
                let source = source(statements);
                computed(&gpu, &source) != emulated(&source)
            };
            if differs(&statements) {
                let source = source(&shrunk(statements, differs));
                let pairs = computed(&gpu, &source).into_iter().zip(emulated(&source));
                let pairs = pairs.zip(given()).filter(|((one, other), _)| one != other);
                let pairs: Vec<_> = pairs.take(3).collect();
                panic!("seed {seed} on {}: {pairs:x?}\n{source}", gpu.report.name);
            }
        }
    }
}

/// Programs that all compute the same would prove nothing, nor those that do not depend on what they say, nor a
/// shrinking that removes what matters.
#[test]
fn generated_programs_differ_and_shrink_to_what_matters() {
    let of_seed = |seed: u32| {
        let mut draw = Draw(seed.wrapping_mul(0x9e37_79b9));
        let statements: Vec<String> = (0..STATEMENTS).map(|_| draw.statement(2)).collect();
        source(&statements)
    };
    let sources: Vec<String> = (1..=PROGRAMS).map(of_seed).collect();
    let mut results: Vec<Vec<u32>> = sources.iter().map(|text| emulated(text)).collect();
    // An emulator that took one operation for another would be seen.
    for (right, wrong) in [
        (" - ", " + "),
        ("firstLeadingBit", "countOneBits"),
        ("min(", "max("),
    ] {
        let pairs = sources.iter().zip(&results);
        let seen = pairs.filter(|(text, result)| emulated(&text.replace(right, wrong)) != **result);
        assert!(seen.count() >= 5, "{right} for {wrong}");
    }
    let distinct = |words: &[u32]| words.iter().collect::<std::collections::HashSet<_>>().len();
    let rich = results
        .iter()
        .filter(|words| distinct(words) > INVOCATIONS / 2);
    assert!(rich.count() as u32 > PROGRAMS / 2);
    results.sort_unstable();
    results.dedup();
    assert_eq!(results.len() as u32, PROGRAMS);

    let statements: Vec<String> = "abcdef".chars().map(String::from).collect();
    let needs = |some: &[String]| ["b", "e"].iter().all(|one| some.iter().any(|s| s == one));
    assert_eq!(shrunk(statements, needs), ["b", "e"]);
}
