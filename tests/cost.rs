//! `autorep cost` from the outside, where there is no adapter.

use autorep::graph::{Layout, Model, Tensors};
use autorep::models::ModelSpec;
use autorep::run::checkpoint::Checkpoint;
use autorep::run::model_file::{Sites, pack};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use tempfile::TempDir;

/// A file that nobody made.
const NOWHERE: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/nowhere");

/// The program, on a machine without a Vulkan driver.
fn cost(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_autorep"))
        .arg("cost")
        .args(arguments)
        .env_remove("RUST_LOG")
        .env("VK_DRIVER_FILES", NOWHERE)
        .env("VK_ICD_FILENAMES", NOWHERE)
        .output()
        .unwrap()
}

#[track_caller]
fn shown(arguments: &[&str]) -> String {
    let output = cost(arguments);
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{arguments:?}: {error}");
    assert!(error.is_empty(), "{arguments:?}: {error}");
    String::from_utf8(output.stdout).unwrap()
}

#[track_caller]
fn json(arguments: &[&str]) -> Value {
    serde_json::from_str(&shown(&[arguments, &["--json"]].concat())).unwrap()
}

/// Ends in one message, which holds all of `words`.
#[track_caller]
fn refused(arguments: &[&str], words: &[&str]) {
    let output = cost(arguments);
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(
        matches!(output.status.code(), Some(1 | 2)),
        "{arguments:?}: {error}"
    );
    assert!(output.stdout.is_empty() && !error.contains("panicked"));
    assert_eq!(error.matches("error: ").count(), 1, "{error}");
    for word in words {
        assert!(error.contains(word), "no `{word}` in {error}");
    }
}

/// The cost of a scenario under a protocol.
fn of<'a>(report: &'a Value, scenario: &str, protocol: &str) -> &'a Value {
    let named = |list: &'a Value, key: &str, name: &str| {
        let mut items = list.as_array().unwrap().iter();
        items.find(|item| item[key] == name).unwrap()
    };
    let scenario = named(&report["scenarios"], "name", scenario);
    named(&scenario["costs"], "protocol", protocol)
}

const PARTS: [&str; 5] = ["relu", "square", "product", "linear", "truncation"];

/// A number, which is exact.
fn number(value: &Value) -> f64 {
    value.as_f64().unwrap()
}

#[test]
fn a_model_costs_the_worked_numbers() {
    let report = json(&["resnet18", "--budget", "12.9k", "--weights", "public"]);
    let all = of(&report, "all ReLU", "crypten");
    assert_eq!(number(&all["total"]["bytes"]), 114_032_640.0);
    assert_eq!(number(&all["total"]["rounds"]), 144.0);
    let square = of(&report, "all square", "crypten");
    assert_eq!(number(&square["total"]["bytes"]), 3_932_160.0);
    assert_eq!(number(&square["total"]["rounds"]), 16.0);
    let budget = of(&report, "budget 12900", "crypten");
    let bytes = 12_900.0 * 232.0 + 478_620.0 * 8.0;
    assert_eq!(number(&budget["total"]["bytes"]), bytes);
    // Sites that hold both do one after the other: on a slow link that costs more than all ReLU.
    assert_eq!(number(&budget["total"]["rounds"]), 160.0);
    // 400 Mbit/s are 50 kB a millisecond.
    let time = number(&budget["milliseconds"]["wan"]);
    assert!((time - (bytes / 50e3 + 160.0 * 20.0)).abs() < 1e-6);
    assert!(of(&report, "all ReLU", "delphi")["total"]["bytes"].is_null());

    let encrypted = json(&["resnet18", "--protocol", "crypten"]);
    let linear = number(&of(&encrypted, "all ReLU", "crypten")["parts"]["linear"]["bytes"]);
    assert!((89.3e6..100e6).contains(&linear), "{linear}");
}

#[test]
fn totals_are_the_sums_of_layers_and_of_parts() {
    for model in [
        "resnet8",
        "wide_resnet_22_8",
        "efficientnet_b0",
        "imagenet_resnet50",
    ] {
        let report = json(&[model, "--input-size", "64", "--budget", "10%"]);
        for scenario in report["scenarios"].as_array().unwrap() {
            for cost in scenario["costs"].as_array().unwrap() {
                let layers = cost["layers"].as_array().unwrap();
                for unit in ["bytes", "rounds"] {
                    let total = &cost["total"][unit];
                    if total.is_null() {
                        let unknown = |part: &&str| cost["parts"][part][unit].is_null();
                        assert!(PARTS.iter().any(unknown));
                        continue;
                    }
                    let sum: f64 = layers.iter().map(|l| number(&l["total"][unit])).sum();
                    let is_total = |sum: f64| (sum - number(total)).abs() <= 1e-12 * sum;
                    assert!(is_total(sum), "{model}: {sum} in {total}");
                    let parts = PARTS.map(|part| number(&cost["parts"][part][unit]));
                    assert!(is_total(parts.iter().sum()), "{model}: {parts:?}");
                }
            }
        }
    }
}

#[test]
fn tables_say_what_they_leave_out() {
    let text = shown(&["efficientnet_b2", "--layers", "--link", "100mbit,20ms"]);
    for words in [
        "crypten",
        "delphi",
        "Not known (?)",
        "all square",
        "features.1.0.block.1.scale",
        "100mbit,20ms",
        "sigmoids in 23 squeeze-excites",
        "SiLU",
    ] {
        assert!(text.contains(words), "no `{words}` in {text}");
    }
    assert!(shown(&["imagenet_resnet18"]).contains("max-pooling"));
    let prices = shown(&[]);
    assert!(prices.contains("232 B, 9") && prices.contains("8·input + 8·weights B, 1"));
    assert_eq!(json(&[]).as_array().unwrap().len(), 5);
}

/// Writes a searched network: at each site the first channel keeps its ReLUs, the second is a
/// line, the rest are quadratics; the last site has lines only.
fn write_checkpoint(path: &Path) -> (usize, usize, usize) {
    let spec = ModelSpec {
        name: "resnet8".into(),
        width: 1.0,
        input: (16, 16),
        classes: 3,
    };
    let network = spec.build().unwrap();
    let layout = Layout::new(&network);
    let mut tensors = Tensors::initial(&layout, 1);
    let (mut relus, mut squares, mut lines) = (0, 0, 0);
    for (index, site) in layout.sites.iter().enumerate() {
        let last = index + 1 == layout.sites.len();
        let plane = site.shape.plane();
        let coefficients = layout.params.slots[site.coefficients].range();
        let polynomials = tensors.params[coefficients].chunks_mut(4);
        for (channel, polynomial) in polynomials.enumerate() {
            let keeps = channel == 0 && !last;
            let line = channel == 1 || last;
            polynomial.copy_from_slice(&[0.1, 0.5, if line { 0.0 } else { 0.2 }, 0.0]);
            let start = site.offset + channel * plane;
            tensors.mask[start..start + plane].fill(f32::from(u8::from(keeps)));
            *match (keeps, line) {
                (true, _) => &mut relus,
                (_, true) => &mut lines,
                _ => &mut squares,
            } += plane;
        }
    }
    let model = Model {
        network,
        layout,
        tensors,
        mean: [0.5; 3],
        std: [0.25; 3],
        classes: ["a", "b", "c"].map(str::to_owned).to_vec(),
    };
    let (tensors, metadata) = pack(&model, &spec, Sites::Gate);
    Checkpoint::new(tensors, metadata).save(path).unwrap();
    (relus, squares, lines)
}

#[test]
fn a_searched_network_is_counted() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("result.safetensors");
    let (relus, squares, lines) = write_checkpoint(&path);
    let path = path.to_str().unwrap();
    let report = json(&[path, "--weights", "public", "--protocol", "crypten"]);
    let scenario = &report["scenarios"][0];
    assert_eq!(scenario["relus"], relus);
    assert_eq!(scenario["squares"], squares);
    assert_eq!(scenario["lines"], lines);
    let cost = of(&report, "as it is", "crypten");
    let bytes = 232.0 * relus as f64 + 8.0 * squares as f64;
    assert_eq!(number(&cost["total"]["bytes"]), bytes);
    // Five of six sites hold ReLUs, and squares.
    assert_eq!(number(&cost["total"]["rounds"]), 50.0);
    assert_eq!(report["scenarios"].as_array().unwrap().len(), 3);
    refused(&[path, "--budget", "10"], &["--budget", "leave it out"]);
    refused(&[path, "--input-size", "64"], &["--input-size"]);
    fs::write(path, "not a checkpoint").unwrap();
    refused(&[path], &[path]);
}

#[test]
fn what_cannot_be_priced_says_why() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("mine.toml");
    let mine = file.to_str().unwrap();
    let good = include_str!("../assets/protocols/crypten.toml");
    fs::write(&file, good.replace("name = \"crypten\"", "name = \"mine\"")).unwrap();
    let report = json(&["resnet8", "--protocol", mine, "--protocol", "crypten"]);
    let total = |name| of(&report, "all ReLU", name)["total"].clone();
    assert_eq!(total("mine"), total("crypten"));
    for (from, to, words) in [
        ("bytes = 232", "bytes = -232", "`relu.bytes` is -232"),
        ("bytes = 232", "bytes = nan", "`relu.bytes` is NaN"),
        ("bytes = 232", "byte = 232", "byte"),
        ("[relu]", "[gelu]", "gelu"),
        ("parties = 2", "", "parties"),
    ] {
        fs::write(&file, good.replace(from, to)).unwrap();
        refused(&["resnet8", "--protocol", mine], &["mine.toml", words]);
    }
    fs::write(&file, vec![0xff; 100]).unwrap();
    refused(&["resnet8", "--protocol", mine], &["mine.toml"]);
    fs::write(&file, " ".repeat(1 << 20)).unwrap();
    refused(&["resnet8", "--protocol", mine], &["too large"]);
    let empty = folder.path().to_str().unwrap();
    for (arguments, words) in [
        (&["resnet19"][..], &["resnet19", "resnet18"][..]),
        (&[empty], &[empty]),
        (&["resnet8", "--protocol", "cryptens"], &["spu-semi2k"]),
        (&["resnet8", "--protocol", "no.toml"], &["no.toml"]),
        (&["resnet8", "--protocol", empty], &["FILE.toml"]),
        (&["resnet8", "--budget", "1m"], &["57344"]),
        (&["resnet8", "--budget", "-1"], &["-1"]),
        (&["resnet8", "--budget", "4MB"], &["number of ReLUs"]),
        (&["resnet8", "--input-size", "0"], &["--input-size"]),
        (&["resnet8", "--input-size", "5000"], &["4096"]),
        (&["resnet8", "--classes", "0"], &["--classes"]),
        (&["resnet8", "--width", "nan"], &["width"]),
        (&["resnet8", "--link", "fast"], &["100mbit,20ms"]),
        (&["resnet8", "--weights", "mine"], &["encrypted"]),
        (&["--budget", "5"], &["--budget", "which model"]),
    ] {
        refused(arguments, words);
    }
}

#[test]
fn homomorphic_encryption_takes_a_level_for_every_product_in_a_row() {
    // Stem, three blocks of two convolutions, an average, the classifier; two sites a block, each a
    // square.
    let squares = json(&["resnet8", "--protocol", "ckks"]);
    let ckks = &squares["ckks"];
    let sites = squares["scenarios"][0]["sites"].as_array().unwrap().len() as u64;
    let convolutions = 7;
    assert_eq!(ckks["levels"], convolutions + 2 + sites);
    assert_eq!(ckks["horner"], convolutions + 2 + 2 * sites);
    assert_eq!(ckks["relus"], 0);
    assert!(squares["protocols"].as_array().unwrap().is_empty());
    let text = shown(&["resnet8", "--protocol", "ckks"]);
    assert!(
        text.contains("Nothing is left that CKKS cannot do"),
        "{text}"
    );
    // Beside prices, and not where it was not asked for.
    let both = json(&["resnet8", "--protocol", "crypten", "--protocol", "ckks"]);
    assert_eq!(both["protocols"].as_array().unwrap().len(), 1);
    assert_eq!(both["ckks"], *ckks);
    assert!(json(&["resnet8"])["ckks"].is_null());
    let sigmoids = shown(&["efficientnet_b0", "--protocol", "ckks"]);
    assert!(sigmoids.contains("CKKS cannot do"), "{sigmoids}");
    let maxima = shown(&["imagenet_resnet18", "--protocol", "ckks"]);
    assert!(maxima.contains("maxima"), "{maxima}");
    refused(&["--protocol", "ckks"], &["depth", "run or model"]);
}
