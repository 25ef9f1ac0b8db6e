//! The report: what is on the page, that nothing on it is fetched or run, and, where Chromium is
//! installed, that it fits a phone and a desk.

use autorep::graph::{Layout, Model, Tensors};
use autorep::models::ModelSpec;
use autorep::report::{self, ReportError};
use autorep::run::checkpoint::Checkpoint;
use autorep::run::folder::RunFolder;
use autorep::run::model_file::{Sites, pack};
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A name that would be an element, were it not escaped.
const HOSTILE: &str = "<script>alert('x')</script>\"><img src=http://example.org/x>&amp;";

/// Writes a finished run of resnet8 with one ReLU in `keep`; returns its folder.
fn run(root: &Path, name: &str, seed: u32, keep: usize, test_top1: f64) -> PathBuf {
    let path = root.join(name);
    let folder = RunFolder::create(&path, false).unwrap();
    let spec = ModelSpec {
        name: "resnet8".into(),
        width: 0.5,
        input: (32, 32),
        classes: 10,
    };
    let network = spec.build().unwrap();
    let layout = Layout::new(&network);
    let mut tensors = Tensors::neutral(&layout);
    for site in &layout.sites {
        for (i, mask) in tensors.mask[site.range()].iter_mut().enumerate() {
            *mask = f32::from(keep > 0 && i.is_multiple_of(keep));
        }
        let coefficients = layout.params.slots[site.coefficients].range();
        for c in tensors.params[coefficients].chunks_exact_mut(4) {
            c.copy_from_slice(&[0.2, 0.5, 0.2, 0.0]);
        }
        let moments = layout.state.slots[site.moments].range();
        for m in tensors.state[moments].chunks_exact_mut(2) {
            m.copy_from_slice(&[-0.1, 1.5]);
        }
    }
    let kept = tensors.kept(&layout);
    // CIFAR-10 by name and size; the classes may be called anything.
    let classes = (0..10).map(|i| format!("{i} {HOSTILE}")).collect();
    let sites = layout.sites.iter().zip(&kept);
    let accuracy = |top1| json!({"val_top1": top1, "test_top1": top1, "test_top5": 0.99});
    let summary = json!({
        "method": "autorep", "polynomial": "exact", "degree": 2,
        "model": "resnet8", "width": 0.5, "dataset": "cifar10", "images": [45000, 5000, 10000],
        "seed": seed, "adapter": HOSTILE, "preset": "cpu",
        "relu_total": network.relu_total(), "relu_budget": kept.iter().sum::<usize>(),
        "relu_count": kept.iter().sum::<usize>(),
        "sites": sites.map(|(site, kept)| json!({
            "name": site.name, "total": site.shape.len(), "kept": kept,
        })).collect::<Vec<_>>(),
        "teacher": accuracy(0.9), "result": accuracy(test_top1),
        "images_per_second": {"search": 1234.5}, "wall_seconds": 90.0, "version": "0.1.0",
        // Whatever may be said against a run.
        "teacher_split": "unknown", "start_agreement": 0.97,
        "spent": {"given": "1%", "budget": 400.0, "cost": 400.0},
        "search_end": {
            "relu_count": 12, "cost": 12.0, "val_top1": 0.31, "settled_val_top1": 0.3,
        },
    });
    folder.write_summary(&summary).unwrap();
    let config = format!("data = '''{HOSTILE}'''\nseed = {seed}\n[search]\nbudget = '1/{keep}'\n");
    folder.write_config(&config).unwrap();
    let mut lines = String::new();
    for step in 1..=20 {
        let count = 5000.0 - 200.0 * f64::from(step);
        lines +=
            &json!({"phase": "search", "step": step, "relu_count": count, "relu_target": 400.0})
                .to_string();
        lines.push('\n');
    }
    for (phase, step, epoch) in [
        ("search", 10, 1.0),
        ("search", 20, 2.0),
        ("finish", 30, 1.0),
    ] {
        lines += &json!({
            "phase": phase, "step": step, "epoch": epoch, "epoch_loss_ce": 1.0 / epoch,
            "epoch_top1": 0.5, "val_loss": null, "val_top1": 0.6, "val_top5": 0.9,
            "spread/a": 1.5, "spread/b": 3.25, "kurtosis/a": 40.0, "kurtosis/b": 4.0,
        })
        .to_string();
        lines.push('\n');
    }
    // As a killed process leaves it.
    lines += "{\"phase\":\"fin";
    fs::write(folder.metrics_path(), lines).unwrap();
    let model = Model {
        network,
        layout,
        tensors,
        mean: [0.5; 3],
        std: [0.25; 3],
        classes,
    };
    let (tensors, metadata) = pack(&model, &spec, Sites::Gate);
    let checkpoint = Checkpoint::new(tensors, metadata);
    folder.checkpoints().save_as("result", &checkpoint).unwrap();
    path
}

fn page(paths: &[PathBuf]) -> String {
    report::render(&report::collect(paths).unwrap()).unwrap()
}

/// A sweep of two budgets, the smaller one with two seeds, and a run that is not finished.
fn sweep(root: &Path) -> PathBuf {
    let sweep = root.join("sweep");
    fs::create_dir(&sweep).unwrap();
    run(&sweep, "a <b>&", 0, 50, 0.80);
    run(&sweep, "a-seed1", 1, 50, 0.84);
    run(&sweep, "none", 0, 0, 0.70);
    let going_on = RunFolder::create(sweep.join("going-on"), false).unwrap();
    going_on.write_config("seed = 1\n").unwrap();
    sweep
}

#[test]
fn the_page_says_what_the_runs_are() {
    let root = tempfile::tempdir().unwrap();
    let html = page(&[sweep(root.path())]);
    // Mean and sample deviation over the two seeds.
    assert!(html.contains("82.00 ± 2.83"), "mean and spread");
    assert!(html.contains("going-on"), "what was left out is named");
    // The published points and whose they are.
    assert!(html.contains("AutoReP (published): 94.31 % at 12.9k ReLUs"));
    assert!(html.contains("The published points belong to other networks"));
    // The control, at the edge.
    assert!(html.contains(": 70.00 % at 0 ReLUs"));
    for words in [
        "layer1.0.act1",
        "CrypTen",
        "autorep search --config",
        "1234 images/s",
        "phase\">finish",
        "data:image/png;base64,",
        "class=\"density\"",
        "largest kurtosis of a channel",
        "does not say which images it was trained on",
        "ended with 12 ReLUs, at 12 where 400 were allowed (31.00 %",
        "rank correlation 0.97",
    ] {
        assert!(html.contains(words), "{words}");
    }
    assert_eq!(html.matches("class=\"polynomial").count(), 0);
    assert!(html.contains("class=\"line polynomial\""));
    assert!(html.len() < 5 << 20);
}

#[test]
fn nothing_on_the_page_is_fetched_or_run() {
    let root = tempfile::tempdir().unwrap();
    let html = page(&[sweep(root.path())]);
    // Names are there, and are text.
    assert!(html.contains("&lt;script&gt;alert("));
    assert!(html.contains("a &lt;b&gt;&amp;"));
    for element in [
        "<script",
        "<img src=http",
        "<iframe",
        "<object",
        "<base",
        "<b>&",
    ] {
        assert!(!html.contains(element), "{element}");
    }
    for fetch in ["url(", "@import", "srcset", "xlink:", "onload", "onclick"] {
        assert!(!html.contains(fetch), "{fetch}");
    }
    // Every reference is data, or a place on the page.
    for attribute in [" src=", " href="] {
        for (at, _) in html.match_indices(attribute) {
            let value = html[at + attribute.len()..].trim_start_matches('"');
            let inside = value.starts_with("data:") || value.starts_with('#');
            // Within text, where quotation marks are escaped, it is no attribute.
            let text = html[..at].ends_with("&lt;img");
            assert!(inside || text, "{}", &value[..40]);
        }
    }
}

#[test]
fn what_cannot_be_reported_says_what_to_do() {
    let root = tempfile::tempdir().unwrap();
    let at = |name: &str| root.path().join(name);
    let error = |path: PathBuf| report::collect(&[path]).err().unwrap();
    assert!(matches!(error(at("nowhere")), ReportError::Missing(_)));
    fs::write(at("file"), "").unwrap();
    assert!(matches!(error(at("file")), ReportError::NotAFolder(_)));
    fs::create_dir(at("empty")).unwrap();
    assert!(matches!(error(at("empty")), ReportError::NoRuns(_)));
    let begun = RunFolder::create(at("begun"), false).unwrap();
    begun.write_config("seed = 1\n").unwrap();
    let unfinished = error(at("begun"));
    assert!(matches!(unfinished, ReportError::Unfinished(_)));
    assert!(unfinished.to_string().contains("--resume"));

    // One bit of a checkpoint.
    let damaged = run(root.path(), "damaged", 0, 9, 0.5);
    let file = damaged.join("checkpoints/result.safetensors");
    let mut bytes = fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&file, bytes).unwrap();
    let output = at("report.html");
    fs::write(&output, "what was there").unwrap();
    let report = |run: &Path, output: &Path| {
        let program = env!("CARGO_BIN_EXE_autorep");
        let mut command = Command::new(program);
        command.arg("report").arg(run).arg("-o").arg(output);
        command.output().unwrap()
    };
    let failed = report(&damaged, &output);
    assert!(!failed.status.success());
    let says = String::from_utf8_lossy(&failed.stderr).into_owned();
    assert!(says.contains("result.safetensors"), "{says}");
    assert_eq!(fs::read_to_string(&output).unwrap(), "what was there");

    let good = run(root.path(), "good", 0, 9, 0.5);
    assert!(!report(&good, &at("no/such/folder.html")).status.success());
    assert!(!report(&good, root.path()).status.success());
    assert!(report(&good, &output).status.success());
    assert!(fs::read_to_string(&output).unwrap().ends_with("</html>"));
}

/// Chromium, if it is installed.
fn chromium() -> Option<&'static str> {
    let names = ["chromium", "chromium-browser", "google-chrome", "chrome"];
    names.into_iter().find(|name| {
        let mut command = Command::new(name);
        command
            .arg("--version")
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    })
}

#[test]
fn a_browser_shows_it_without_a_request_and_without_scrolling_sideways() {
    let Some(chromium) = chromium() else {
        eprintln!("Chromium is not installed: the page was not opened in a browser");
        return;
    };
    let root = tempfile::tempdir().unwrap();
    let html = page(&[sweep(root.path())]);
    fs::write(root.path().join("page.html"), &html).unwrap();
    // A window cannot be narrower than some 500 pixels, but a frame can. The copy in it may run
    // the frame's script, which measures it; the page itself runs none.
    let policy = html.find("<meta http-equiv").unwrap();
    let end = policy + html[policy..].find('>').unwrap() + 1;
    let copy = format!("{}{}", &html[..policy], &html[end..]);
    fs::write(root.path().join("copy.html"), copy).unwrap();
    let at = |name: &str| format!("file://{}", root.path().join(name).display());
    // Shows a file; returns what became of it, what the console said, and what was asked for.
    let open = |file: &str, width: u32| {
        let log = root.path().join("net.json");
        let mut command = Command::new(chromium);
        command
            .args(["--headless", "--no-sandbox", "--disable-gpu"])
            .args([
                "--disable-dev-shm-usage",
                "--hide-scrollbars",
                "--no-first-run",
            ])
            .args([
                "--disable-background-networking",
                "--disable-component-update",
            ])
            // No test reaches a network; that it wanted to is in the log.
            .arg("--host-resolver-rules=MAP * ~NOTFOUND")
            .args(["--allow-file-access-from-files", "--enable-logging=stderr"])
            .arg(format!("--window-size={},900", width.max(500)))
            .arg(format!(
                "--user-data-dir={}",
                root.path().join("profile").display()
            ))
            .arg(format!("--log-net-log={}", log.display()))
            .args(["--dump-dom", &at(file)]);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{file} could not be opened");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let console = text(&output.stderr);
        let console = console.lines().filter(|line| line.contains("CONSOLE"));
        let console: Vec<String> = console.map(str::to_owned).collect();
        let log = fs::read_to_string(&log).unwrap();
        let urls = log.split("\"url\":\"http").skip(1);
        let urls = urls.filter_map(|rest| rest.split('"').next());
        // What the browser asks its maker, of its own.
        let own = |url: &&str| {
            ["google.com/", "googleapis.com/", "gvt1.com/"]
                .iter()
                .any(|h| url.contains(h))
        };
        let urls: Vec<String> = urls.filter(|url| !own(url)).map(str::to_owned).collect();
        (text(&output.stdout), console, urls)
    };

    // What is looked for would be found.
    let bad = "<img src=http://example.org/x><script>console.error('x')</script>";
    fs::write(root.path().join("bad.html"), bad).unwrap();
    let (_, console, urls) = open("bad.html", 1280);
    assert!(
        !console.is_empty() && !urls.is_empty(),
        "{console:?} {urls:?}"
    );

    let (dom, console, urls) = open("page.html", 1280);
    assert!(dom.contains("going-on"), "the page was read");
    assert_eq!((console, urls), (Vec::new(), Vec::new()));
    for width in [360, 1280] {
        let probe = format!(
            "<!DOCTYPE html><iframe src=copy.html style='width:{width}px;height:800px;border:0' \
             onload='const d = this.contentDocument.documentElement; \
             document.title = `measured ${{d.scrollWidth}} in ${{d.clientWidth}}`'></iframe>"
        );
        fs::write(root.path().join("probe.html"), probe).unwrap();
        let (dom, ..) = open("probe.html", width);
        let measured = format!("measured {width} in {width}");
        assert!(dom.contains(&measured), "not `{measured}`: {:.300}", dom);
    }
}
