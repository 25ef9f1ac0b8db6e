//! The run folder and what is kept in it: nothing half-written is ever read, nothing damaged
//! is ever trusted, and a run that was killed ends as one that was not.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use autorep::files::{write_atomic, write_atomic_with};
use autorep::run::checkpoint::{Checkpoint, CheckpointError};
use autorep::run::folder::{RunFolder, RunFolderError};
use autorep::run::mark::{Mark, Phase};
use autorep::run::metrics::{MetricsError, MetricsLog, Record};
use autorep::run::store::CheckpointStore;
use autorep::run::tensorboard::{self, EventError, EventWriter, What};
use autorep::tensor_file::Tensor;
use autorep::train::interrupt::Interrupt;
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use serde_json::{Value, json};
use tempfile::TempDir;

fn scratch() -> TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

/// Every file below `root` with its bytes and the time it was last written.
fn snapshot(root: &Path) -> BTreeMap<PathBuf, (Vec<u8>, std::time::SystemTime)> {
    walkdir::WalkDir::new(root)
        .into_iter()
        .map(|entry| {
            let entry = entry.unwrap();
            let written = entry.metadata().unwrap().modified().unwrap();
            let bytes = fs::read(entry.path()).unwrap_or_default();
            (entry.into_path(), (bytes, written))
        })
        .collect()
}

// ---------------------------------------------------------------- the process as a child

/// Tells [`child`] what to do, and where.
const CHILD: &str = "AUTOREP_TEST_CHILD";

/// Not a test: the body of the processes that other tests start and kill.
#[test]
fn child() {
    let Ok(order) = std::env::var(CHILD) else {
        return;
    };
    let (what, path) = order.split_once(' ').unwrap();
    match what {
        "hold" => {
            let _folder = RunFolder::create(path, true).unwrap();
            println!("ready");
            std::thread::sleep(Duration::from_secs(60));
        }
        "write" => {
            for fill in (b'a'..=b'z').cycle() {
                write_atomic(Path::new(path), &vec![fill; 1 << 20]).unwrap();
                println!("ready");
            }
        }
        "interrupt" => {
            let interrupt = Interrupt::install();
            let again = Interrupt::install();
            println!("ready");
            while !interrupt.requested() {
                std::thread::sleep(Duration::from_millis(5));
            }
            assert!(again.requested());
            println!("stopping");
            std::thread::sleep(Duration::from_secs(60));
        }
        other => panic!("no such order: {other}"),
    }
}

/// Starts [`child`] with an order, and gives a function that waits for a line of its output.
fn start_child(order: &str, path: &Path) -> (Child, impl FnMut(&str)) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "child", "--nocapture", "--test-threads=1"]);
    start(command, order, path)
}

/// The same, by a command that becomes this program.
fn start(mut command: Command, order: &str, path: &Path) -> (Child, impl FnMut(&str)) {
    let mut child = command
        .env(CHILD, format!("{order} {}", path.display()))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let wait_for = move |word: &str| {
        assert!(
            lines.any(|line| line.unwrap().ends_with(word)),
            "the child ended without saying `{word}`"
        );
    };
    (child, wait_for)
}

// ---------------------------------------------------------------- the folder

#[test]
fn an_existing_run_is_refused_untouched() {
    let dir = scratch();
    let path = dir.path().join("run");
    let folder = RunFolder::create(&path, false).unwrap();
    assert!(!folder.resumed());
    folder.write_config("seed = 1\n").unwrap();
    drop(folder);
    fs::write(path.join(".tmp-abc.partial"), "half").unwrap();

    let before = snapshot(&path);
    let error = RunFolder::create(&path, false).unwrap_err();
    assert!(matches!(error, RunFolderError::Exists { .. }), "{error}");
    let text = error.to_string();
    assert!(
        text.contains("--resume") && text.contains("--out"),
        "{text}"
    );
    assert_eq!(before, snapshot(&path));
}

#[test]
fn resume_continues_a_run_and_begins_one_where_there_is_none() {
    let dir = scratch();
    let path = dir.path().join("deep/run");
    let folder = RunFolder::create(&path, true).unwrap();
    assert!(!folder.resumed());
    assert_eq!(folder.read_config().unwrap(), None);
    folder.write_config("seed = 1\n").unwrap();
    drop(folder);

    let folder = RunFolder::create(&path, true).unwrap();
    assert!(folder.resumed());
    assert_eq!(folder.read_config().unwrap().unwrap(), "seed = 1\n");
}

#[test]
fn a_process_killed_before_it_wrote_anything_leaves_an_empty_folder() {
    let dir = scratch();
    fs::write(dir.path().join(".lock"), "").unwrap();
    fs::write(dir.path().join(".tmp-abc.partial"), "half").unwrap();
    let folder = RunFolder::create(dir.path(), false).unwrap();
    assert!(!folder.resumed());
    assert!(!dir.path().join(".tmp-abc.partial").exists());
}

#[test]
fn a_folder_of_other_things_is_never_taken_for_a_run() {
    let dir = scratch();
    fs::write(dir.path().join("thesis.tex"), "...").unwrap();
    let before = snapshot(dir.path());
    let error = RunFolder::create(dir.path(), true).unwrap_err();
    assert!(matches!(error, RunFolderError::NotARun { .. }), "{error}");
    let error = RunFolder::create(dir.path(), false).unwrap_err();
    assert!(matches!(error, RunFolderError::Exists { .. }), "{error}");
    let error = RunFolder::open(dir.path()).unwrap_err();
    assert!(matches!(error, RunFolderError::NotARun { .. }), "{error}");
    assert_eq!(before, snapshot(dir.path()));
}

#[test]
fn a_folder_that_cannot_be_written_is_named() {
    let dir = scratch();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();

    let error = RunFolder::create(&file, false).unwrap_err();
    assert!(
        matches!(error, RunFolderError::NotAFolder { .. }),
        "{error}"
    );
    let inside = file.join("run");
    let error = RunFolder::create(&inside, true).unwrap_err();
    assert!(matches!(error, RunFolderError::Unwritable(_)), "{error}");
    let named = inside.display().to_string();
    assert!(error.to_string().contains(&named), "{error}");

    let error = RunFolder::open(dir.path().join("nowhere")).unwrap_err();
    assert!(matches!(error, RunFolderError::Missing { .. }), "{error}");
}

#[test]
fn one_process_writes_at_a_time_and_the_lock_dies_with_it() {
    let dir = scratch();
    let path = dir.path().join("run");
    let (mut child, mut wait_for) = start_child("hold", &path);
    wait_for("ready");
    let error = RunFolder::create(&path, true).unwrap_err();
    assert!(matches!(error, RunFolderError::Busy { .. }), "{error}");
    fs::write(path.join("config.toml"), "seed = 1\n").unwrap();
    RunFolder::open(&path).expect("reading needs no lock");

    child.kill().unwrap();
    child.wait().unwrap();
    RunFolder::create(&path, true).expect("the lock died with its owner");
}

#[test]
fn a_killed_writer_leaves_a_whole_file() {
    let dir = scratch();
    let path = dir.path().join("run");
    drop(RunFolder::create(&path, false).unwrap());
    let file = path.join("checkpoints/file");
    for delay in [1, 3, 7, 12, 20] {
        let (mut child, mut wait_for) = start_child("write", &file);
        wait_for("ready");
        std::thread::sleep(Duration::from_millis(delay));
        child.kill().unwrap();
        child.wait().unwrap();
        let bytes = fs::read(&file).unwrap();
        assert_eq!(bytes.len(), 1 << 20);
        assert!(bytes.iter().all(|byte| byte == &bytes[0]));
    }
    // Whatever the kills left is cleared by the next who holds the lock.
    fs::write(path.join("checkpoints/.tmp-xyz.partial"), "half").unwrap();
    drop(RunFolder::create(&path, true).unwrap());
    assert_eq!(fs::read_dir(path.join("checkpoints")).unwrap().count(), 1);
}

#[test]
fn a_failed_write_leaves_what_was_there() {
    let dir = scratch();
    let path = dir.path().join("file");
    write_atomic(&path, b"old").unwrap();
    let full = write_atomic_with(&path, |file| {
        file.write_all(b"ne")?;
        Err(std::io::ErrorKind::StorageFull.into())
    });
    let text = full.unwrap_err().to_string();
    let start = format!("cannot write {}: ", path.display());
    assert!(text.starts_with(&start), "{text}");
    assert_eq!(fs::read(&path).unwrap(), b"old");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[cfg(unix)]
#[test]
fn files_are_as_public_as_the_umask_says() {
    use std::os::unix::fs::PermissionsExt;
    let dir = scratch();
    let (plain, atomic) = (dir.path().join("plain"), dir.path().join("atomic"));
    fs::write(&plain, "").unwrap();
    write_atomic(&atomic, b"").unwrap();
    let mode = |path| fs::metadata(path).unwrap().permissions().mode();
    assert_eq!(mode(&plain), mode(&atomic));
}

#[test]
fn the_summary_is_read_back_and_a_torn_one_is_an_error() {
    let dir = scratch();
    let folder = RunFolder::create(dir.path(), false).unwrap();
    let summary = json!({"method": "autorep", "relu_count": 4915});
    folder.write_summary(&summary).unwrap();
    let reader = RunFolder::open(dir.path()).unwrap();
    assert_eq!(reader.read_summary::<Value>().unwrap(), summary);

    fs::write(dir.path().join("summary.json"), "{\"method\": \"au").unwrap();
    let error = reader.read_summary::<Value>().unwrap_err();
    assert!(matches!(error, RunFolderError::Json { .. }), "{error}");
    assert!(error.to_string().contains("summary.json"), "{error}");
}

#[test]
fn marks_are_ordered_as_a_run_passes_them_and_spelled_one_way() {
    let marks = [
        Mark::new(Phase::Teacher, 90),
        Mark::new(Phase::Teacher, 100),
        Mark::new(Phase::Search, 100),
        Mark::new(Phase::Finish, 123_456_789),
    ];
    assert!(marks.is_sorted());
    for mark in marks {
        assert_eq!(mark.to_string().parse::<Mark>().unwrap(), mark);
    }
    assert_eq!(marks[2].to_string(), "search-00000100");
    let others = [
        "",
        "best",
        "search",
        "search-100",
        "search-+0000100",
        "snl-00000100",
    ];
    for other in others {
        assert!(other.parse::<Mark>().is_err(), "{other}");
    }
}

// ---------------------------------------------------------------- metrics

fn mark_of(step: u64) -> Mark {
    let phase = match step {
        0..4 => Phase::Teacher,
        4..8 => Phase::Search,
        _ => Phase::Finish,
    };
    Mark::new(phase, step)
}

/// A record of a run that always goes the same way, but not at the same speed.
fn record_of(step: u64, seconds: f64) -> Record {
    let loss = 1.0 / (step as f64 + 3.0);
    Record::new(mark_of(step), [("loss", loss), ("relus", 4915.0)]).at(seconds)
}

/// The lines of `metrics.jsonl`, without the time.
fn lines(folder: &Path) -> Vec<String> {
    let text = fs::read_to_string(folder.join("metrics.jsonl")).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'));
    text.lines()
        .map(|line| {
            let mut record: Value = serde_json::from_str(line).unwrap();
            record.as_object_mut().unwrap().remove("wall_seconds");
            record.to_string()
        })
        .collect()
}

fn event_files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_string_lossy().contains("events.out.tfevents."))
        .collect();
    files.sort();
    files
}

/// What TensorBoard shows: the files in order, each session start voiding what it restarts.
fn shown(folder: &Path) -> Vec<(i64, String, f32)> {
    let mut shown: Vec<(i64, String, f32)> = Vec::new();
    for file in event_files(folder) {
        for event in tensorboard::read_events(&fs::read(file).unwrap()).unwrap() {
            match event.what {
                Some(What::SessionLog(_)) => shown.retain(|&(step, ..)| step < event.step),
                Some(What::Summary(summary)) => {
                    for value in summary.value {
                        shown.push((event.step, value.tag, value.simple_value.unwrap()));
                    }
                }
                _ => {}
            }
        }
    }
    shown
}

#[test]
fn a_run_killed_and_resumed_logs_what_an_uninterrupted_one_does() {
    let (straight, killed) = (scratch(), scratch());
    let folder = RunFolder::create(straight.path(), false).unwrap();
    let mut log = MetricsLog::create(&folder).unwrap();
    for step in 0..12 {
        log.log(&record_of(step, step as f64)).unwrap();
    }

    let folder = RunFolder::create(killed.path(), false).unwrap();
    let mut log = MetricsLog::create(&folder).unwrap();
    for step in 0..7 {
        log.log(&record_of(step, 3.0 * step as f64)).unwrap();
    }
    drop(log);
    // Killed twice: while writing a line, then at once after a resume. The last checkpoint
    // was taken at step 5.
    let mut file = fs::File::options()
        .append(true)
        .open(folder.metrics_path())
        .unwrap();
    file.write_all(br#"{"phase":"search","step":7,"lo"#)
        .unwrap();
    drop(MetricsLog::resume_at(&folder, mark_of(5)).unwrap());
    let mut log = MetricsLog::resume_at(&folder, mark_of(5)).unwrap();
    assert_eq!(lines(killed.path()).len(), 6);
    for step in 6..12 {
        log.log(&record_of(step, 9.0 * step as f64)).unwrap();
    }
    log.sync().unwrap();

    assert_eq!(lines(straight.path()), lines(killed.path()));
    assert_eq!(event_files(killed.path()).len(), 3);
    assert_eq!(shown(straight.path()).len(), 24);
    assert_eq!(shown(straight.path()), shown(killed.path()));
}

#[test]
fn a_line_without_its_end_is_kept_if_it_is_whole() {
    let dir = scratch();
    let folder = RunFolder::create(dir.path(), false).unwrap();
    // A number that would be spelled in another way if it were read and written: lines must
    // be copied.
    let whole = r#"{"phase":"teacher","step":1,"loss":0.10000000000000000555}"#;
    let torn = "not a record\n\u{0}\u{0}\n";
    fs::write(folder.metrics_path(), format!("{torn}{whole}")).unwrap();
    let mut log = MetricsLog::resume(&folder, |record| record.step < 2).unwrap();
    log.log(&record_of(2, 0.0)).unwrap();
    let text = fs::read_to_string(folder.metrics_path()).unwrap();
    assert_eq!(text.lines().next(), Some(whole));
    assert_eq!(text.lines().count(), 2);
}

#[test]
fn a_run_without_a_checkpoint_begins_its_log_anew() {
    let dir = scratch();
    let folder = RunFolder::create(dir.path(), false).unwrap();
    let mut log = MetricsLog::create(&folder).unwrap();
    log.log(&record_of(0, 0.0)).unwrap();
    assert_eq!(shown(dir.path()).len(), 2);
    drop(log);
    drop(MetricsLog::create(&folder).unwrap());
    assert!(lines(dir.path()).is_empty());
    assert!(shown(dir.path()).is_empty());
}

#[test]
fn values_that_are_not_finite_are_read_back_and_reserved_names_refused() {
    let dir = scratch();
    let folder = RunFolder::create(dir.path(), false).unwrap();
    let mut log = MetricsLog::create(&folder).unwrap();
    let record = Record::new(mark_of(1), [("loss", f64::NAN), ("rate", 0.5)]);
    log.log(&record).unwrap();
    let text = fs::read_to_string(folder.metrics_path()).unwrap();
    assert_eq!(
        text,
        "{\"phase\":\"teacher\",\"step\":1,\"loss\":null,\"rate\":0.5}\n"
    );
    let read: Record = serde_json::from_str(&text).unwrap();
    assert!(read.scalars["loss"].is_nan() && read.scalars["rate"] == 0.5);
    assert_eq!((read.mark(), read.wall_seconds), (mark_of(1), None));

    let error = log
        .log(&Record::new(mark_of(1), [("step", 1.0)]))
        .unwrap_err();
    assert!(
        matches!(error, MetricsError::ReservedName { .. }),
        "{error}"
    );
    assert_eq!(lines(dir.path()).len(), 1);
}

// ---------------------------------------------------------------- TensorBoard

/// Written by TensorBoard's own `RecordWriter`: the file version at 1.5 s, the scalar
/// `search/loss` = 0 of step 7 at 2.5 s, a session start at step 8 at 3.5 s.
const REFERENCE: &str = "\
    1800000000000000a37f4b2209000000000000f83f1a0d627261696e2e4576656e743a322a28646c\
    2100000000000000017becf609000000000000044010072a140a120a0b7365617263682f6c6f7373\
    15000000002574a7b60f000000000000006d532b09090000000000000c4010083a0208016e85a1d0";

fn reference() -> Vec<u8> {
    let nibble = |digit: u8| char::from(digit).to_digit(16).unwrap() as u8;
    let digits = REFERENCE.as_bytes();
    digits
        .chunks(2)
        .map(|pair| (nibble(pair[0]) << 4) | nibble(pair[1]))
        .collect()
}

#[test]
fn event_files_are_those_of_tensorboard() {
    let dir = scratch();
    let first = EventWriter::create(dir.path(), 0).unwrap();
    let mut writer = EventWriter::create(dir.path(), 8).unwrap();
    assert!(first.path() < writer.path());
    writer.scalars(7, [("search/loss", 0.0)]).unwrap();
    let ours = fs::read(writer.path()).unwrap();

    // Up to the time, and from there to the checksum that covers it, the first records are
    // the same bytes.
    let theirs = reference();
    assert_eq!(ours[..13], theirs[..13]);
    assert_eq!(ours[21..36], theirs[21..36]);
    assert_eq!(ours.len(), theirs.len());

    // The rest comes in another order here.
    let mut ours = tensorboard::read_events(&ours).unwrap();
    let mut theirs = tensorboard::read_events(&theirs).unwrap();
    assert_eq!(theirs[0].wall_time, 1.5);
    ours.swap(1, 2);
    for event in ours.iter_mut().chain(&mut theirs) {
        event.wall_time = 0.0;
    }
    assert_eq!(ours, theirs);
}

#[test]
fn every_flipped_bit_of_an_event_file_is_found() {
    let whole = reference();
    assert_eq!(tensorboard::read_events(&whole).unwrap().len(), 3);
    for bit in 0..whole.len() * 8 {
        let mut bytes = whole.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let error = tensorboard::read_events(&bytes).unwrap_err();
        assert!(
            matches!(error, EventError::Checksum { .. }),
            "bit {bit}: {error}"
        );
    }
}

#[test]
fn a_torn_event_file_is_told_from_a_whole_one() {
    let whole = reference();
    let ends = [0, 40, 89, whole.len()];
    for length in 0..=whole.len() {
        let read = tensorboard::read_events(&whole[..length]);
        match ends.iter().position(|&end| end == length) {
            Some(count) => assert_eq!(read.unwrap().len(), count),
            None => assert!(matches!(read, Err(EventError::Torn { .. })), "{length}"),
        }
    }
}

// ---------------------------------------------------------------- checkpoints

fn named(name: &str, tensor: Tensor) -> (String, Tensor) {
    (name.to_owned(), tensor)
}

fn example(seed: f32) -> Checkpoint {
    let weight = (0..36).map(|i| seed + i as f32).collect();
    let odd = vec![f32::NAN, f32::NEG_INFINITY];
    let tensors = vec![
        named("mask", Tensor::u8([3], vec![1, 0, 1])),
        named("layer1.0.conv1.weight", Tensor::f32([2, 2, 3, 3], weight)),
        named("empty", Tensor::f32([0], vec![])),
        named("odd", Tensor::f32([2], odd)),
        named("steps", Tensor::u32([], vec![u32::MAX])),
    ];
    let metadata = (0..20).map(|i| (format!("key{i}"), format!("\"{i}\" – ü")));
    Checkpoint::new(tensors, metadata.collect())
}

/// The parts by name, comparable even where a value is NaN.
fn parts(checkpoint: &Checkpoint) -> (BTreeMap<String, String>, BTreeMap<String, String>) {
    let tensors = checkpoint.tensors.iter();
    let tensors = tensors.map(|(name, tensor)| (name.clone(), format!("{tensor:?}")));
    (tensors.collect(), checkpoint.metadata.clone())
}

#[test]
fn a_checkpoint_is_read_back_and_equal_ones_are_equal_files() {
    let dir = scratch();
    let a = dir.path().join("a.safetensors");
    let b = dir.path().join("b.safetensors");
    example(0.5).save(&a).unwrap();
    let loaded = Checkpoint::load(&a).unwrap();
    assert_eq!(parts(&loaded), parts(&example(0.5)));
    assert_ne!(parts(&loaded), parts(&example(0.25)));
    example(0.5).save(&b).unwrap();
    assert!(fs::read(&a).unwrap() == fs::read(&b).unwrap());
    loaded.save(&b).unwrap();
    assert!(fs::read(&a).unwrap() == fs::read(&b).unwrap());
}

#[test]
fn other_programs_can_read_a_checkpoint() {
    let dir = scratch();
    let path = dir.path().join("a.safetensors");
    example(0.0).save(&path).unwrap();
    let bytes = fs::read(&path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let weight = file.tensor("layer1.0.conv1.weight").unwrap();
    assert_eq!(weight.dtype(), Dtype::F32);
    assert_eq!(weight.shape(), [2, 2, 3, 3]);
    assert_eq!(weight.data()[4..8], 1f32.to_le_bytes());
    assert_eq!(weight.data().as_ptr().addr() % 4, bytes.as_ptr().addr() % 4);
    assert_eq!(file.tensor("mask").unwrap().data(), [1, 0, 1]);
    let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
    assert_eq!(header.metadata().as_ref().unwrap()["format_version"], "1");
}

#[test]
fn every_flipped_bit_of_a_checkpoint_is_found() {
    let dir = scratch();
    let path = dir.path().join("a.safetensors");
    let metadata = BTreeMap::from([("step".to_owned(), "12".to_owned())]);
    let tensors = vec![named("w", Tensor::f32([3], vec![1.0, 2.0, 3.0]))];
    Checkpoint::new(tensors, metadata).save(&path).unwrap();
    let whole = fs::read(&path).unwrap();
    let mut kinds = BTreeMap::new();
    for bit in 0..whole.len() * 8 {
        let mut bytes = whole.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        fs::write(&path, bytes).unwrap();
        let error = Checkpoint::load(&path).expect_err(&format!("bit {bit}"));
        assert!(error.to_string().contains("a.safetensors"), "{error}");
        let kind = format!("{error:?}");
        let kind = kind.split(' ').next().unwrap().to_owned();
        *kinds.entry(kind).or_insert(0) += 1;
    }
    // The bits of the three floats, and only those, are found by the tensor's checksum.
    assert_eq!(kinds["TensorChecksum"], 3 * 32, "{kinds:?}");
    assert!(kinds["HeaderChecksum"] > 0, "{kinds:?}");
}

#[test]
fn a_checkpoint_cut_short_is_told_so() {
    let dir = scratch();
    let path = dir.path().join("a.safetensors");
    example(0.0).save(&path).unwrap();
    let whole = fs::read(&path).unwrap();
    for length in 0..whole.len() {
        fs::write(&path, &whole[..length]).unwrap();
        let error = Checkpoint::load(&path).unwrap_err();
        assert!(
            matches!(error, CheckpointError::Truncated { .. }),
            "{length}: {error}"
        );
    }
    fs::write(&path, [&whole[..], b"x"].concat()).unwrap();
    let error = Checkpoint::load(&path).unwrap_err();
    assert!(matches!(error, CheckpointError::Header { .. }), "{error}");
}

#[test]
fn hostile_headers_are_refused_before_anything_is_allocated() {
    let dir = scratch();
    let path = dir.path().join("a.safetensors");
    let load = |length: u64, header: &str| {
        let bytes = [&length.to_le_bytes()[..], header.as_bytes()].concat();
        fs::write(&path, bytes).unwrap();
        Checkpoint::load(&path).unwrap_err()
    };
    let error = load(u64::MAX, "{}");
    assert!(matches!(error, CheckpointError::Header { .. }), "{error}");
    let error = load(99_999_999, "{}");
    assert!(
        matches!(error, CheckpointError::Truncated { .. }),
        "{error}"
    );

    // As many bytes as can be counted in bits.
    let max = u64::MAX / 8;
    let longer_than_the_file = [
        format!(r#"{{"a":{{"dtype":"U8","shape":[{max}],"data_offsets":[0,{max}]}}}}"#),
        r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#.to_owned(),
    ];
    for header in longer_than_the_file {
        let error = load(header.len() as u64, &header);
        assert!(
            matches!(error, CheckpointError::Truncated { .. }),
            "{header}: {error}"
        );
    }
    let senseless = [
        // Extents whose product overflows, offsets that run backwards, a gap, a type that
        // does not exist, metadata that is no text, too deep, nothing.
        r#"{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}}"#.to_owned(),
        r#"{"a":{"dtype":"U8","shape":[1],"data_offsets":[1,0]}}"#.to_owned(),
        r#"{"a":{"dtype":"U8","shape":[1],"data_offsets":[7,8]}}"#.to_owned(),
        r#"{"a":{"dtype":"U9","shape":[1],"data_offsets":[0,1]}}"#.to_owned(),
        r#"{"__metadata__":{"step":12}}"#.to_owned(),
        "[".repeat(100_000),
        String::new(),
    ];
    for header in senseless {
        let error = load(header.len() as u64, &header);
        assert!(matches!(error, CheckpointError::Header { .. }), "{error}");
    }
}

#[test]
fn missing_foreign_and_newer_files_are_told_apart() {
    let dir = scratch();
    let path = dir.path().join("a.safetensors");
    let error = Checkpoint::load(&path).unwrap_err();
    assert!(matches!(error, CheckpointError::Missing { .. }), "{error}");

    // Eight bytes as `dtype`, then two floats.
    let save = |dtype: Dtype, metadata: Option<(&str, &str)>| {
        let data = [0; 8];
        let shape = vec![64 / dtype.bitsize()];
        let tensors = [
            ("n", TensorView::new(dtype, shape, &data).unwrap()),
            ("w", TensorView::new(Dtype::F32, vec![2], &data).unwrap()),
        ];
        let metadata = metadata.map(|(k, v)| [(k.to_owned(), v.to_owned())].into());
        fs::write(&path, safetensors::serialize(tensors, metadata).unwrap()).unwrap();
    };
    save(Dtype::U8, None);
    let error = Checkpoint::load(&path).unwrap_err();
    assert!(matches!(error, CheckpointError::Foreign { .. }), "{error}");
    save(Dtype::U8, Some(("format_version", "2")));
    for loaded in [Checkpoint::load(&path), Checkpoint::import(&path)] {
        let error = loaded.unwrap_err();
        assert!(matches!(error, CheckpointError::Version { .. }), "{error}");
    }
    // What PyTorch wrote can be imported, without the tensors no network needs.
    save(Dtype::I64, Some(("format", "pt")));
    let error = Checkpoint::load(&path).unwrap_err();
    assert!(
        matches!(error, CheckpointError::WrongType { .. }),
        "{error}"
    );
    let imported = Checkpoint::import(&path).unwrap();
    let expected = [named("w", Tensor::f32([2], vec![0.0, 0.0]))];
    assert_eq!(imported.tensors, expected);
    assert_eq!(imported.metadata["format"], "pt");
    assert_eq!(imported.left_out.len(), 1);
    assert_eq!(imported.left_out[0].1, "I64");
}

#[test]
fn half_and_double_precision_are_imported() {
    let dir = scratch();
    let path = dir.path().join("weights.safetensors");
    // 1.5, -2 and the smallest step above 1 of bfloat16.
    let double: Vec<u8> = [1.5f64, -2.0, 1.0078125]
        .iter()
        .flat_map(|v| v.to_le_bytes())
        .collect();
    let bytes: [(Dtype, &[u8]); 3] = [
        (Dtype::F16, &[0x00, 0x3e, 0x00, 0xc0, 0x08, 0x3c]),
        (Dtype::BF16, &[0xc0, 0x3f, 0x00, 0xc0, 0x81, 0x3f]),
        (Dtype::F64, &double),
    ];
    for (dtype, bytes) in bytes {
        let view = TensorView::new(dtype, vec![3], bytes).unwrap();
        let file = safetensors::serialize([("w", view)], None).unwrap();
        fs::write(&path, file).unwrap();
        let imported = Checkpoint::import(&path).unwrap();
        let expected = [named("w", Tensor::f32([3], vec![1.5, -2.0, 1.0078125]))];
        assert_eq!(imported.tensors, expected, "{dtype}");
        assert_eq!(imported.left_out, []);
    }
}

#[test]
fn files_of_other_kinds_are_told_by_their_first_bytes() {
    let dir = scratch();
    let path = dir.path().join("weights.pth");
    let lfs = b"version https://git-lfs.github.com/spec/v1\noid sha256:7\n";
    let kinds: [(&[u8], &[&str]); 5] = [
        (b"PK\x03\x04 and what follows", &["PyTorch", "save_file"]),
        (b"\x80\x02\x8a\nl\xfc\x9cF\xf9", &["PyTorch", "torch.load"]),
        (lfs, &["git lfs pull"]),
        (b"<!DOCTYPE html>", &["HTML", "download"]),
        (b"\x89HDF\r\n\x1a\n more", &["HDF5"]),
    ];
    for (bytes, words) in kinds {
        fs::write(&path, bytes).unwrap();
        for loaded in [Checkpoint::load(&path), Checkpoint::import(&path)] {
            let error = loaded.unwrap_err().to_string();
            for word in words {
                assert!(error.contains(word), "{error}");
            }
        }
    }
}

#[test]
fn a_checkpoint_of_another_model_names_the_tensor() {
    let dir = scratch();
    let path = dir.path().join("x.safetensors");
    example(0.0).save(&path).unwrap();
    let unpack = || Checkpoint::load(&path).unwrap().unpack("resnet18");
    let conv = "layer1.0.conv1.weight";

    let error = unpack().f32(conv, &[64, 64, 3, 3]).unwrap_err();
    let expected = format!(
        "checkpoint {} holds `layer1.0.conv1.weight` with shape [2, 2, 3, 3], the model \
         resnet18 wants [64, 64, 3, 3]: it belongs to another model",
        path.display()
    );
    assert_eq!(error.to_string(), expected);
    let error = unpack().f32("fc.weight", &[10]).unwrap_err();
    assert!(matches!(error, CheckpointError::NoTensor { .. }), "{error}");
    let error = unpack().f32("steps", &[]).unwrap_err();
    assert!(
        matches!(error, CheckpointError::WrongType { .. }),
        "{error}"
    );

    let mut unpack = unpack();
    assert!(unpack.has("mask"));
    assert_eq!(unpack.u8("mask", &[3]).unwrap(), [1, 0, 1]);
    assert!(!unpack.has("mask"));
    assert_eq!(unpack.u32("steps", &[]).unwrap(), [u32::MAX]);
    assert_eq!(unpack.f32(conv, &[2, 2, 3, 3]).unwrap().len(), 36);
    assert!(unpack.f32("empty", &[0]).unwrap().is_empty());
    let error = unpack.finish().unwrap_err();
    assert!(error.to_string().contains("`odd` (1 such)"), "{error}");
}

#[test]
fn metadata_entries_are_parsed_or_named() {
    let metadata = [("step", "12"), ("seed", "x")].map(|(k, v)| (k.to_owned(), v.to_owned()));
    let checkpoint = Checkpoint::new(vec![], metadata.into());
    assert_eq!(checkpoint.entry::<u64>("step").unwrap(), 12);
    let text = checkpoint.entry::<u64>("seed").unwrap_err().to_string();
    assert!(text.contains("has `x` for `seed`"), "{text}");
    let text = checkpoint.entry::<u64>("epoch").unwrap_err().to_string();
    assert!(text.contains("has nothing for `epoch`"), "{text}");
}

#[test]
fn what_could_not_be_loaded_is_not_saved() {
    let dir = scratch();
    let path = dir.path().join("a.safetensors");
    let one = || Tensor::u8([1], vec![0]);
    let bad = [
        vec![named("a", one()), named("a", one())],
        vec![named("__metadata__", one())],
        vec![named("a", Tensor::u8([2], vec![0]))],
        vec![named("a", Tensor::u8([usize::MAX, 2], vec![0]))],
    ];
    for tensors in bad {
        let checkpoint = Checkpoint::new(tensors, BTreeMap::new());
        let error = checkpoint.save(&path).unwrap_err();
        assert!(
            matches!(error, CheckpointError::Unsavable { .. }),
            "{error}"
        );
        assert!(!path.exists());
    }
}

fn store(dir: &TempDir) -> CheckpointStore {
    RunFolder::create(dir.path(), true).unwrap().checkpoints()
}

fn search(step: u64) -> Mark {
    Mark::new(Phase::Search, step)
}

#[test]
fn the_last_two_and_the_named_ones_stay() {
    let dir = scratch();
    let store = store(&dir);
    assert!(store.latest().unwrap().is_none());
    let teacher = Mark::new(Phase::Teacher, 100);
    store.save(teacher, &example(1.0)).unwrap();
    store.save_as("teacher", &example(1.0)).unwrap();
    store.save_as(CheckpointStore::BEST, &example(2.0)).unwrap();
    for step in [100, 200, 300] {
        store.save(search(step), &example(step as f32)).unwrap();
    }
    assert_eq!(store.marks().unwrap(), [search(200), search(300)]);
    let mut names: Vec<_> = fs::read_dir(dir.path().join("checkpoints"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    let expected = ["best", "search-00000200", "search-00000300", "teacher"];
    assert_eq!(names, expected.map(|name| format!("{name}.safetensors")));
    let best = store.load(CheckpointStore::BEST).unwrap();
    assert_eq!(parts(&best), parts(&example(2.0)));
    let (mark, latest) = store.latest().unwrap().unwrap();
    assert_eq!(mark, search(300));
    assert_eq!(parts(&latest), parts(&example(300.0)));
}

#[test]
fn a_damaged_checkpoint_is_passed_over_and_then_replaced() {
    let dir = scratch();
    let store = store(&dir);
    for step in [100, 200, 300] {
        store.save(search(step), &example(step as f32)).unwrap();
    }
    let newest = store.path(search(300));
    let whole = fs::read(&newest).unwrap();
    fs::write(&newest, &whole[..whole.len() / 2]).unwrap();
    let (mark, latest) = store.latest().unwrap().unwrap();
    assert_eq!(mark, search(200));
    assert_eq!(parts(&latest), parts(&example(200.0)));

    // The run goes on from 200 and is stopped at 250. Were the damaged one to count among
    // the last two, the one before 250 would be gone.
    store.save(search(250), &example(250.0)).unwrap();
    assert_eq!(store.marks().unwrap(), [search(200), search(250)]);

    for step in [200, 250] {
        fs::write(store.path(search(step)), "").unwrap();
    }
    let error = store.latest().unwrap_err();
    assert!(error.to_string().contains("search-00000250"), "{error}");
}

#[test]
fn nothing_is_removed_for_a_checkpoint_that_was_not_saved() {
    let dir = scratch();
    let store = store(&dir);
    for step in [100, 200] {
        store.save(search(step), &example(step as f32)).unwrap();
    }
    // A folder of that name cannot be replaced by a file.
    fs::create_dir(store.path(search(300))).unwrap();
    store.save(search(300), &example(300.0)).unwrap_err();
    for step in [100, 200] {
        store.load(search(step)).unwrap();
    }
    assert_eq!(store.latest().unwrap().unwrap().0, search(200));
}

// ---------------------------------------------------------------- interrupts

#[cfg(unix)]
#[test]
fn the_first_interrupt_asks_and_the_second_ends() {
    // HUP is left out: whoever runs the tests may have had it ignored, as `nohup` does.
    for signal in ["-INT", "-TERM", "-USR1"] {
        let (mut child, mut wait_for) = start_child("interrupt", Path::new("."));
        let send = |id: u32| {
            let mut kill = Command::new("kill");
            let sent = kill.args([signal, &id.to_string()]);
            assert!(sent.status().unwrap().success());
        };
        wait_for("ready");
        send(child.id());
        wait_for("stopping");
        // What comes at once is the same wish, as when a terminal tells a process and its group.
        send(child.id());
        std::thread::sleep(Duration::from_millis(500));
        assert!(child.try_wait().unwrap().is_none());
        send(child.id());
        assert_eq!(child.wait().unwrap().code(), Some(130));
    }
}

/// A process that its terminal's end must not end, as under `nohup`, is not stopped by it either.
#[cfg(target_os = "linux")]
#[test]
fn a_hangup_that_is_ignored_stays_ignored() {
    let me = std::env::current_exe().unwrap();
    let me = me.display();
    let script = format!("trap '' HUP; exec '{me}' --exact child --nocapture --test-threads=1");
    let mut command = Command::new("sh");
    command.args(["-c", &script]);
    let (mut child, mut wait_for) = start(command, "interrupt", Path::new("."));
    let id = child.id().to_string();
    let send = |signal: &str| {
        let sent = Command::new("kill").args([signal, &id]).status();
        assert!(sent.unwrap().success());
    };
    wait_for("ready");
    send("-HUP");
    std::thread::sleep(Duration::from_millis(500));
    // Had the hangup counted, this would be the second wish, which ends the process at once.
    send("-TERM");
    wait_for("stopping");
    std::thread::sleep(Duration::from_millis(500));
    assert!(child.try_wait().unwrap().is_none(), "the hangup counted");
    send("-TERM");
    assert_eq!(child.wait().unwrap().code(), Some(130));
}
