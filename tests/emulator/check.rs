//! A shader and the description of its buffers, to what people and editors read.

use autorep::emulator::{CheckError, Fault, How, Report, Spec, SpecError, Touch, check, load};

/// A neighbour is read without a barrier.
const NEIGHBOUR: &str = "
@group(0) @binding(0) var<storage, read_write> y: array<f32>;
@group(0) @binding(1) var<storage, read> x: array<f32>;
var<workgroup> tile: array<f32, 8>;
@compute @workgroup_size(8)
fn main(@builtin(local_invocation_index) lane: u32, @builtin(global_invocation_id) id: vec3u) {
    tile[lane] = x[id.x];
    // meet
    y[id.x] = tile[(lane + 1u) % 8u];
}";

const TWO_BUFFERS: &str = "
workgroups = [2, 1, 1]
[[buffers]]
binding = 0
length = 16
fill = \"unwritten\"
[[buffers]]
binding = 1
bytes = 64
fill = \"index\"
";

fn report(source: &str, spec: &str) -> Report {
    check(source, &Spec::parse(spec).unwrap(), How::default()).unwrap()
}

fn refused(source: &str, spec: &str) -> CheckError {
    let spec = Spec::parse(spec).unwrap();
    check(source, &spec, How::default()).unwrap_err()
}

#[test]
fn a_missing_barrier_is_shown_with_both_sides() {
    let report = report(NEIGHBOUR, TWO_BUFFERS);
    assert!(!report.is_clean());
    let faults: Vec<Fault> = report.findings.iter().map(|(_, f)| f.fault).collect();
    assert!(faults.contains(&Fault::WorkgroupRace), "{faults:?}");
    let text = report.explain("tile.wgsl", NEIGHBOUR);
    for part in [
        "error: race in workgroup memory: `tile`, element",
        "tile.wgsl:7:5",
        "tile.wgsl:9:15",
        "7 |     tile[lane] = x[id.x];",
        "  |     ^^^^^^^^^^",
        "written by invocation",
        "read by invocation",
        "help: put `workgroupBarrier();` between the two",
        "error: result depends on the order of invocations: `y`, element",
    ] {
        assert!(text.contains(part), "no `{part}` in\n{text}");
    }
}

#[test]
fn what_is_right_is_clean_and_mapped() {
    let source = NEIGHBOUR.replace("// meet", "workgroupBarrier();");
    let report = report(&source, TWO_BUFFERS);
    assert!(
        report.is_clean(),
        "{}",
        report.explain("tile.wgsl", &source)
    );
    assert_eq!(report.runs, 5);
    let written: Vec<f32> = (0..16).map(|i| (i / 8 * 8 + (i + 1) % 8) as f32).collect();
    assert_eq!(report.buffers[0].floats(), written);
    assert_eq!(report.counts.barriers, 2);

    let map = &report.map;
    assert_eq!(
        (map.invocations, map.workgroup, map.too_large),
        (16, 8, false)
    );
    let diagonal = |touch| (0..16).map(|i| (i, i, touch)).collect::<Vec<_>>();
    let touches: Vec<_> = map
        .buffers
        .iter()
        .map(|b| (b.name.as_str(), b.touches.clone()))
        .collect();
    assert_eq!(
        touches,
        [("y", diagonal(Touch::Write)), ("x", diagonal(Touch::Read))]
    );
    let picture = map.picture();
    assert!(picture.contains("`x`: elements 0 to 15 of 16"), "{picture}");
    assert!(picture.contains(" 1 ·r··············\n"), "{picture}");
    let svg = map.svg();
    assert_eq!(svg.matches("<rect").count(), 1 + 2 * 256 + 4);
    assert!(svg.starts_with("<svg") && svg.ends_with("</svg>\n"));
}

#[test]
fn editors_get_kinds_lines_and_columns() {
    let source = NEIGHBOUR.replace("tile[lane] =", "/* ä */ tile[lane] =");
    let json = report(&source, TWO_BUFFERS).json("tile.wgsl", &source);
    let findings = json["findings"].as_array().unwrap();
    let race = findings
        .iter()
        .find(|f| f["kind"] == "workgroup-race")
        .unwrap();
    // Columns are counted in characters.
    let sides = [race, &race["other"]];
    assert!(
        sides
            .iter()
            .any(|side| side["line"] == 7 && side["column"] == 13),
        "{race:#}"
    );
    assert!(
        sides
            .iter()
            .any(|side| side["line"] == 9 && side["column"] == 15),
        "{race:#}"
    );
    assert_eq!(race["file"], "tile.wgsl");
    assert!(race["message"].is_string() && race["help"].is_string());
    assert!(
        findings
            .iter()
            .any(|f| f["kind"] == "order-dependent" && f["line"] == 2)
    );
    assert_eq!(json["clean"], false);
    assert_eq!(json["counts"]["storage_loads"], 16);
    assert_eq!(
        json["map"]["buffers"][1]["touches"][3],
        serde_json::json!([3, 3, "r"])
    );
}

#[test]
fn buffers_are_filled_as_they_are_described() {
    let source = "
@group(0) @binding(0) var<storage, read_write> y: array<vec4u>;
@group(0) @binding(1) var<uniform> x: vec4i;
@group(1) @binding(7) var<storage, read> z: array<f32>;
@compute @workgroup_size(1)
fn main() { y[0] = bitcast<vec4u>(x) + y[1] * u32(z[0]); }";
    let spec = "
workgroups = [1, 1, 1]
buffers = [
    { binding = 0, type = 'vec4u', length = 2, fill = 'index' },
    { binding = 1, type = 'i32', length = 4, values = [-1, 2] },
    { group = 1, binding = 7, length = 3, fill = 'random' },
]";
    let outcome = report(source, spec);
    assert!(outcome.is_clean(), "{}", outcome.explain("", source));
    let z = outcome
        .buffers
        .iter()
        .find(|b| b.bytes.len() == 12)
        .unwrap()
        .floats();
    assert!(z.iter().all(|z| z.abs() <= 1.0) && z[0] != z[1]);
    let factor = z[0] as u32;
    let y = outcome.buffers[0].words();
    assert_eq!(
        y,
        [
            u32::MAX.wrapping_add(factor),
            2 + factor,
            factor,
            factor,
            1,
            1,
            1,
            1
        ]
    );
    // What is unwritten but for a value.
    let spec = spec.replace(
        "fill = 'index'",
        "fill = 'unwritten', values = [0, 0, 0, 0, 5]",
    );
    let outcome = report(source, &spec);
    let unwritten = |(_, f): &&(u64, _)| -> bool {
        let f: &autorep::emulator::Finding = f;
        f.fault == Fault::UnwrittenStorage && f.element == Some(1)
    };
    assert_eq!(outcome.findings.iter().filter(unwritten).count(), 1);
}

#[test]
fn a_wrong_description_is_an_error_that_says_what() {
    let error = |text: &str| Spec::parse(text).unwrap_err().to_string();
    assert!(error("workgroups = 3").contains("workgroups"));
    assert!(error("workgroups = [1, 1, 1]\nsurprise = 1").contains("surprise"));
    assert!(error("workgroups = [1, 1, -1]").contains("-1"));
    assert!(error("[[buffers]]\nbinding = 0").contains("workgroups"));
    let with = |buffer: &str| {
        refused(
            NEIGHBOUR,
            &format!("workgroups = [1, 1, 1]\nbuffers = [{{ binding = 1, {buffer} }}]"),
        )
    };
    assert_eq!(with("fill = 'zero'"), SpecError::Size { binding: 1 }.into());
    assert_eq!(
        with("length = 1, bytes = 4"),
        SpecError::Size { binding: 1 }.into()
    );
    assert_eq!(
        with("length = 9000000000000000000"),
        SpecError::TooLarge.into()
    );
    assert_eq!(with("bytes = 300000000"), SpecError::TooLarge.into());
    assert_eq!(
        with("extent = [4000000000, 4000000000, 4000000000]"),
        SpecError::TooLarge.into()
    );
    let values = SpecError::Values {
        binding: 1,
        values: 2,
        words: 1,
    };
    assert_eq!(with("length = 1, values = [1, 2]"), values.into());
    let unbound = with("length = 8");
    assert!(matches!(unbound, CheckError::Run(_)), "{unbound}");
    assert!(unbound.to_string().contains("`y`"), "{unbound}");
    let twice = "workgroups = [1, 1, 1]\nbuffers = [{ binding = 1, length = 8 }, { binding = 1, length = 8 }]";
    assert!(matches!(
        refused(NEIGHBOUR, twice),
        CheckError::Spec(SpecError::Twice(_))
    ));
    // And grids that nobody waits for.
    let large = TWO_BUFFERS.replace("[2, 1, 1]", "[4294967295, 4294967295, 4294967295]");
    assert!(matches!(refused(NEIGHBOUR, &large), CheckError::Run(_)));
}

#[test]
fn a_template_of_a_description_is_one() {
    let program = load(NEIGHBOUR, None).unwrap();
    let template = Spec::template(&program);
    let spec = Spec::parse(&template).unwrap();
    let names: Vec<u32> = spec.buffers.iter().map(|buffer| buffer.binding).collect();
    assert_eq!(names, [0, 1]);
    assert!(
        check(NEIGHBOUR, &spec, How::default()).is_ok(),
        "{template}"
    );
}

#[test]
fn texts_that_are_no_shader_have_a_place() {
    for (source, line, words) in [
        ("fn main() {\n    let x = ;\n}", 2, "expected"),
        (
            "@compute @workgroup_size(1)\nfn main() { let x: u32 = 1.5; }",
            2,
            "",
        ),
    ] {
        let error = refused(source, "workgroups = [1, 1, 1]");
        assert_eq!(error.place().unwrap().line, line, "{error}");
        assert!(error.to_string().contains(words), "{error}");
        let text = error.explain("bad.wgsl", source);
        assert!(text.contains(&format!("--> bad.wgsl:{line}:")), "{text}");
        assert_eq!(error.json("bad.wgsl", source)["error"]["line"], line);
    }
    let two = "@compute @workgroup_size(1) fn a() {} @compute @workgroup_size(1) fn b() {}";
    assert!(matches!(
        refused(two, "workgroups = [1, 1, 1]"),
        CheckError::Entry(_)
    ));
    assert!(report(two, "workgroups = [1, 1, 1]\nentry = 'b'").is_clean());
    let unknown = refused(two, "workgroups = [1, 1, 1]\nentry = 'c'");
    assert!(unknown.to_string().contains("`c`"), "{unknown}");
    assert!(matches!(
        refused("", "workgroups = [1, 1, 1]"),
        CheckError::Entry(_)
    ));
}

#[test]
fn nothing_runs_for_ever() {
    let source = "
@compute @workgroup_size(256)
fn main() {
    loop { }
}";
    let how = How {
        budget: 10_000,
        most_instructions: 10_000_000,
        ..How::default()
    };
    let spec = Spec::parse("workgroups = [300, 1, 1]").unwrap();
    let report = check(source, &spec, how).unwrap();
    assert_eq!((report.findings.len(), report.runs), (1, 1));
    let (_, finding) = &report.findings[0];
    assert_eq!(
        (finding.fault, finding.side.place.line),
        (Fault::EndlessLoop, 4)
    );
    // One invocation of each workgroup.
    assert_eq!(finding.count, 300);

    // Long, but not endless; and far too much of it.
    let source = "
@compute @workgroup_size(256)
fn main() {
    for (var i = 0u; i < 1000u; i++) { }
}";
    let error = check(source, &spec, how).unwrap_err();
    assert!(error.to_string().contains("fewer workgroups"), "{error}");
}
