//! The teaching server from the outside, by HTTP as a browser speaks it, and as one that means ill does.

mod common {
    pub mod program;
}

use autorep::record::Header;
use autorep::teach::assets::ASSETS;
use autorep::teach::puzzles::PUZZLES;
use common::program::{program, refused};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A server, which ends with the test that began it.
struct Served {
    child: Child,
    host: String,
    /// The code in its address, with slashes around it.
    code: String,
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An answer: status, headers, body.
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Served {
    fn begin(more: &[&str]) -> Self {
        let mut command = program();
        command.args(["teach", "--port", "0"]).args(more);
        Self::of(command)
    }

    fn of(mut command: Command) -> Self {
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let mut address = String::new();
        let stdout = child.stdout.take().unwrap();
        BufReader::new(stdout).read_line(&mut address).unwrap();
        let rest = address.trim().strip_prefix("http://").expect("an address");
        let (host, code) = rest.split_once('/').unwrap();
        Self {
            child,
            host: host.to_owned(),
            code: format!("/{code}"),
        }
    }

    /// Sends bytes as they are, and reads what comes until the other side closes.
    fn raw(&self, request: &[u8]) -> Answer {
        let port = self.host.rsplit_once(':').unwrap().1;
        let mut stream = TcpStream::connect(format!("127.0.0.1:{port}")).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(120)))
            .unwrap();
        // A server that refuses a body closes before it has come.
        let _ = stream.write_all(request);
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok());
        Answer {
            status: status.unwrap_or(0),
            head: head.to_lowercase(),
            body: body.to_owned(),
        }
    }

    fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut request = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n");
        if !headers.iter().any(|(name, _)| *name == "Host") {
            request += &format!("Host: {}\r\n", self.host);
        }
        for (name, value) in headers {
            request += &format!("{name}: {value}\r\n");
        }
        request += &format!("Content-Length: {}\r\n\r\n{body}", body.len());
        self.raw(request.as_bytes())
    }

    fn get(&self, path: &str) -> Answer {
        self.ask("GET", &format!("{}{path}", self.code), &[], "")
    }

    fn post(&self, path: &str, body: &str) -> Answer {
        let origin = format!("http://{}", self.host);
        let headers = [
            ("Origin", origin.as_str()),
            ("Content-Type", "application/json"),
        ];
        self.ask("POST", &format!("{}{path}", self.code), &headers, body)
    }

    /// What is found about a puzzle's text.
    fn verdict(&self, puzzle: &str, source: &str) -> Value {
        let job = json!({ "kind": "puzzle", "name": puzzle, "source": source });
        let answer = self.post("api/run", &job.to_string());
        assert_eq!(answer.status, 200, "{}", answer.body);
        serde_json::from_str(&answer.body).unwrap()
    }
}

#[test]
fn the_page_is_whole_small_and_closed() {
    let served = Served::begin(&[]);
    let page = served.get("");
    assert_eq!(page.status, 200);
    assert!(page.body.contains("<title>autorep"), "{}", page.body);
    for header in [
        "content-security-policy: default-src 'none'; script-src 'self'",
        "x-content-type-options: nosniff",
        "referrer-policy: no-referrer",
    ] {
        assert!(page.head.contains(header), "{header}: {}", page.head);
    }
    let mut bytes = 0;
    for asset in ASSETS {
        let answer = served.get(asset.path);
        assert_eq!(answer.status, 200, "{}", asset.path);
        assert!(answer.head.contains(asset.kind), "{}", asset.path);
        assert_eq!(answer.body.as_bytes(), asset.bytes, "{}", asset.path);
        assert!(!asset.bytes.is_empty(), "{}", asset.path);
        bytes += asset.bytes.len();
    }
    assert!(bytes < 1_000_000, "{bytes} bytes");
}

#[test]
fn no_asset_names_a_place_outside() {
    let files: Vec<&str> = ASSETS.iter().map(|asset| asset.path).collect();
    for asset in ASSETS {
        let text = std::str::from_utf8(asset.bytes).unwrap();
        // The one name that is no address: of a namespace.
        let text = text.replace("http://www.w3.org/2000/svg", "");
        for outside in [
            "http:",
            "https:",
            "ws:",
            "wss:",
            "\"//",
            "'//",
            "url(",
            "@import",
            "eval(",
            "innerHTML",
        ] {
            assert!(!text.contains(outside), "{}: {outside}", asset.path);
        }
        // What a module imports is there.
        for import in text.split("from \"./").skip(1) {
            let name = import.split('"').next().unwrap();
            assert!(files.contains(&name), "{} imports {name}", asset.path);
        }
        if asset.path.ends_with(".html") {
            assert!(
                !text.contains("style=") && !text.contains(" on"),
                "nothing inline"
            );
            assert!(
                text.split("<script")
                    .skip(1)
                    .all(|script| script.contains("src="))
            );
        }
    }
}

#[test]
fn strangers_are_refused() {
    let served = Served::begin(&[]);
    let run = format!("{}api/run", served.code);
    let own = format!("http://{}", served.host);
    let kind = ("Content-Type", "application/json");
    let status = |method: &str, path: &str, headers: &[(&str, &str)], body: &str| {
        served.ask(method, path, headers, body).status
    };
    // The address without its code, or with another.
    assert_eq!(status("GET", "/", &[], ""), 404);
    assert_eq!(status("GET", "/api/catalog", &[], ""), 404);
    assert_eq!(
        status("GET", "/aaaaaaaaaaaaaaaaaaaaaaaaaa/api/catalog", &[], ""),
        404
    );
    // Another page.
    assert_eq!(
        status(
            "POST",
            &run,
            &[("Origin", "http://evil.example"), kind],
            "{}"
        ),
        403
    );
    assert_eq!(status("POST", &run, &[("Origin", "null"), kind], "{}"), 403);
    assert_eq!(status("POST", &run, &[kind], "{}"), 403);
    assert_eq!(
        status(
            "GET",
            &served.code,
            &[("Origin", "https://evil.example")],
            ""
        ),
        403
    );
    // Another name of this machine.
    assert_eq!(
        status("GET", &served.code, &[("Host", "evil.example")], ""),
        421
    );
    let port = served.host.rsplit_once(':').unwrap().1;
    let rebound = format!("evil.example:{port}");
    assert_eq!(status("GET", &served.code, &[("Host", &rebound)], ""), 421);
    // What a form can send without being asked, other methods, and what is no job.
    assert_eq!(
        status(
            "POST",
            &run,
            &[("Origin", &own), ("Content-Type", "text/plain")],
            "{}"
        ),
        415
    );
    assert_eq!(status("PUT", &run, &[("Origin", &own), kind], "{}"), 405);
    assert_eq!(status("POST", &run, &[("Origin", &own), kind], "{}"), 400);
    let unknown = json!({ "kind": "puzzle", "name": "../../etc/passwd", "source": "" });
    assert_eq!(served.post("api/run", &unknown.to_string()).status, 404);
    assert_eq!(served.get("../../Cargo.toml").status, 404);
    // And who is none is let in.
    assert_eq!(served.get("api/catalog").status, 200);
}

#[test]
fn bodies_and_connections_have_limits() {
    let served = Served::begin(&[]);
    let huge = "x".repeat(300 << 10);
    assert_eq!(served.post("api/run", &huge).status, 413);
    // Of unknown length.
    let chunked = format!(
        "POST {}api/run HTTP/1.1\r\nHost: {host}\r\nOrigin: http://{host}\r\nContent-Type: application/json\r\n\
         Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n{:x}\r\n{huge}\r\n0\r\n\r\n",
        served.code,
        huge.len(),
        host = served.host,
    );
    assert_eq!(served.raw(chunked.as_bytes()).status, 413);
    let long = format!(
        "GET /{} HTTP/1.1\r\nHost: {}\r\n\r\n",
        "a".repeat(100 << 10),
        served.host
    );
    assert!(matches!(
        served.raw(long.as_bytes()).status,
        400 | 404 | 414 | 431 | 0
    ));
    // Those who begin and do not go on hold nobody up.
    let half: Vec<TcpStream> = (0..20)
        .map(|_| {
            let mut stream = TcpStream::connect(&served.host).unwrap();
            stream.write_all(b"GET / HTTP/1.1\r\nHo").unwrap();
            stream
        })
        .collect();
    assert_eq!(served.get("").status, 200);
    drop(half);
}

#[test]
fn a_text_is_judged() {
    let served = Served::begin(&[]);
    let relu = &PUZZLES[0];
    let solved = served.verdict(relu.name, relu.solution);
    assert_eq!(solved["solved"], true, "{solved}");
    assert_eq!(solved["emulated"]["findings"], json!([]));
    // The adapter has run it, or it is said why not.
    assert!(solved["measured"]["adapter"].is_string() || solved["unmeasured"].is_string());
    let blank = served.verdict(relu.name, relu.blank);
    assert_eq!(blank["solved"], false);
    let first = &blank["emulated"]["results"][0]["first"];
    assert_eq!(
        (&first["index"], &first["unwritten"]),
        (&json!(0), &json!(true))
    );

    let slip = relu
        .solution
        .replace("max(x[id.x], 0.0)", "max(x[id.x], zero)");
    let refused = served.verdict(relu.name, &slip);
    let line = 1 + slip.lines().position(|line| line.contains("zero")).unwrap();
    assert_eq!(refused["refused"]["line"], json!(line), "{refused}");
    assert!(refused["emulated"].is_null());

    let reduction = PUZZLES
        .iter()
        .find(|puzzle| puzzle.name == "reduction")
        .unwrap();
    let racing = reduction.solution.replacen("workgroupBarrier();", "", 1);
    let race = served.verdict(reduction.name, &racing);
    assert_eq!(race["solved"], false);
    let fault = race["emulated"]["findings"][0]["fault"].as_str().unwrap();
    assert!(fault.contains("race in workgroup memory"), "{fault}");

    let kernel = served.get("api/kernel/gate.forward");
    let kernel: Value = serde_json::from_str(&kernel.body).unwrap();
    let job = json!({ "kind": "kernel", "name": "gate.forward", "source": kernel["wgsl"] });
    let unchanged: Value =
        serde_json::from_str(&served.post("api/run", &job.to_string()).body).unwrap();
    assert_eq!(unchanged["emulated"]["findings"], json!([]), "{unchanged}");
    assert!(unchanged["emulated"]["results"][0]["first"].is_null());
}

#[test]
fn nothing_that_a_visitor_writes_ends_the_server() {
    let served = Served::begin(&[]);
    let body = |text: &str| {
        format!(
            "@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {{ {text} }}"
        )
    };
    let endless = served.verdict("relu", &body("loop { y[0] = x[0]; }"));
    let faults = endless["emulated"]["findings"].to_string();
    assert!(faults.contains("loop without end"), "{endless}");
    assert!(
        endless["unmeasured"]
            .as_str()
            .unwrap()
            .contains("without end")
    );

    let deep = format!("y[0] = {}1.0{};", "(".repeat(40_000), ")".repeat(40_000));
    let greedy = "var big: array<f32, 400000000>; big[id.x] = 1.0; y[id.x] = big[id.x];";
    let long = "for (var i = 0u; i < 900000u; i++) { y[id.x % 200u] = x[0] + f32(i); }";
    for (text, what) in [(deep.as_str(), "deep"), (greedy, "greedy"), (long, "long")] {
        let verdict = served.verdict("relu", &body(text));
        assert_eq!(verdict["solved"], false, "{what}");
        let said = ["refused", "ended", "emulated"]
            .iter()
            .any(|key| !verdict[key].is_null());
        assert!(said, "{what}: {verdict}");
    }
    for text in ["", "\0", "fn", "é{", "@compute", &"{".repeat(60_000)] {
        assert!(
            served.verdict("relu", text)["refused"].is_object(),
            "{text:.20}"
        );
    }
    assert_eq!(served.verdict("relu", PUZZLES[0].solution)["solved"], true);
}

#[test]
fn a_port_that_is_taken_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    refused(
        program().args(["teach", "--port", &port]),
        &[&port, "taken", "--port 0"],
    );
    refused(program().args(["teach", "--port", "70000"]), &["--port"]);
}

#[test]
fn a_class_has_a_short_code() {
    let served = Served::begin(&["--class"]);
    assert_eq!(served.code.len(), "/abcdefgh/".len());
    assert_eq!(served.get("").status, 200);
    let port = served.host.rsplit_once(':').unwrap().1;
    let by_name = format!("classroom.example:{port}");
    assert_eq!(
        served
            .ask("GET", &served.code, &[("Host", &by_name)], "")
            .status,
        421
    );
}

#[test]
fn a_search_is_watched_paused_and_ended() {
    let served = Served::begin(&[]);
    let standing = |path: &str| -> Value { serde_json::from_str(&served.get(path).body).unwrap() };
    assert_eq!(standing("api/search")["state"], "none");
    assert_eq!(
        served.post("api/search", "{\"action\":\"pause\"}").status,
        200
    );
    assert_eq!(
        served.post("api/search", "{\"action\":\"start\"}").status,
        400
    );
    assert_eq!(
        served
            .post("api/search", "{\"action\":\"start\",\"percent\":10}")
            .status,
        200
    );
    let now = standing("api/search?number=1&from=0");
    assert!(
        matches!(now["state"].as_str(), Some("running" | "failed")),
        "{now}"
    );
    assert_eq!((&now["number"], &now["percent"]), (&json!(1), &json!(10)));
    assert_eq!(now["prices"]["relu"], json!(232.0));
    // Masks begin with the search, behind a teacher.
    let sites = standing("api/search/sites?number=1&mark=");
    assert_eq!(sites, json!({ "mark": null, "sites": [] }));
}

/// A server that is asked to end takes its search along, and its folders.
#[cfg(target_os = "linux")]
#[test]
fn nothing_is_left_behind() {
    let folders = tempfile::tempdir().unwrap();
    let mut command = program();
    command
        .env("TMPDIR", folders.path())
        .args(["teach", "--port", "0"]);
    let mut served = Served::of(command);
    assert_eq!(
        served
            .post("api/search", "{\"action\":\"start\",\"percent\":10}")
            .status,
        200
    );
    let count = || std::fs::read_dir(folders.path()).unwrap().count();
    assert_eq!(count(), 1);
    let searches = || {
        let processes = std::fs::read_dir("/proc").unwrap().flatten();
        let lines = processes.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
        let folder = folders.path().to_str().unwrap().as_bytes().to_owned();
        lines
            .filter(|line| line.windows(folder.len()).any(|window| window == folder))
            .count()
    };
    assert_eq!(searches(), 1);
    let pid = rustix::process::Pid::from_child(&served.child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert!(served.child.wait().unwrap().success());
    assert_eq!((count(), searches()), (0, 0));

    // One that is killed cannot tidy up, but its search ends all the same.
    let mut command = program();
    command
        .env("TMPDIR", folders.path())
        .args(["teach", "--port", "0"]);
    let served = Served::of(command);
    served.post("api/search", "{\"action\":\"start\",\"percent\":10}");
    assert_eq!(searches(), 1);
    drop(served);
    for _ in 0..100 {
        if searches() == 0 {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("a search outlives its server");
}

/// Holds a record to what a browser needs of it.
fn is_a_run(file: &[u8]) {
    let length = u32::from_le_bytes(file[..4].try_into().unwrap()) as usize;
    let header: Header = serde_json::from_slice(&file[4..4 + length]).unwrap();
    let words = (file.len() - 4 - length) / 4;
    assert!(header.tape.len() > header.shaders.len() && header.shaders.len() > 20);
    for shader in &header.shaders {
        // Not every browser has them.
        assert!(!shader.source.contains("subgroup"), "{}", shader.name);
        assert!(shader.source.contains("@compute"), "{}", shader.name);
    }
    for turn in &header.tape {
        // More than WebGPU promises would not bind.
        assert!(turn.bindings.len() <= 8, "{}", turn.owner);
        for &(buffer, first, bytes) in &turn.bindings {
            assert!(first + bytes <= header.buffers[buffer].bytes);
            assert_eq!(first % 256, 0);
        }
    }
    let mut end = 0;
    for memory in &header.buffers {
        if let Some(at) = memory.at {
            assert_eq!(at, end);
            end += memory.bytes as usize / 4;
        }
    }
    assert_eq!(end, words);
    assert!(header.buffers[header.weights].at.is_some());
    // It learns, so that a browser has something to follow.
    let steps = header.steps.len();
    assert_eq!(header.native.len(), steps);
    let mean = |from: usize| -> f64 {
        let part = &header.native[from..from + 5];
        part.iter().map(|step| step.loss).sum::<f64>() / 5.0
    };
    assert!(mean(steps - 5) < 0.8 * mean(0), "{:?}", header.native);
}

#[test]
fn a_convolution_is_timed_in_three_versions() {
    let served = Served::begin(&[]);
    let versions: Value = serde_json::from_str(&served.get("api/convolutions").body).unwrap();
    for version in versions.as_array().unwrap() {
        let job = json!({ "kind": "convolution", "name": version["name"], "source": "" });
        let answer = served.post("api/run", &job.to_string());
        let verdict: Value = serde_json::from_str(&answer.body).unwrap();
        let results = &verdict["measured"]["results"];
        assert_eq!(results[0]["first"], Value::Null, "{verdict}");
        assert!(verdict["measured"]["seconds"].as_f64().unwrap() > 0.0);
    }
    let unknown = json!({ "kind": "convolution", "name": "none", "source": "" });
    assert_eq!(served.post("api/run", &unknown.to_string()).status, 404);
}

#[test]
fn the_page_is_written_as_static_files() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("site");
    let output = program()
        .args(["teach", "--export"])
        .arg(&out)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    for asset in ASSETS {
        assert_eq!(
            std::fs::read(out.join(asset.path)).unwrap(),
            asset.bytes,
            "{}",
            asset.path
        );
    }
    let read = |path: &str| -> Value {
        serde_json::from_slice(&std::fs::read(out.join(path)).unwrap()).unwrap()
    };
    assert_eq!(read("api/mode"), json!({ "runs": false }));
    assert_eq!(read("api/puzzles").as_array().unwrap().len(), 12);
    assert_eq!(read("api/convolutions").as_array().unwrap().len(), 3);
    is_a_run(&std::fs::read(out.join("api/record")).unwrap());
    for entry in read("api/catalog").as_array().unwrap() {
        let kernel = read(&format!("api/kernel/{}", entry["name"].as_str().unwrap()));
        assert_eq!(kernel["case"].is_object(), entry["runs"].as_bool().unwrap());
    }
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    refused(
        program().args(["teach", "--export"]).arg(&file),
        &["cannot write", "file"],
    );
}
