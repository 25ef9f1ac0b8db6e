//! Downloads against a server on this machine: whole, cut short, of the wrong kind, and archives
//! that mean no good.

use autorep::data::fetch::{Archive, FetchError, Limits, archive, fetch};
use flate2::{Compression, write::GzEncoder};
use md5::{Digest, Md5};
use std::fs;
use std::io::{BufRead, BufReader, Cursor, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};
use tempfile::TempDir;
use zip::write::SimpleFileOptions;

/// How a request is answered.
#[derive(Clone, Copy)]
enum Answer {
    /// As asked for, ranges too.
    Whole,
    /// As asked for, but the connection ends after so many bytes.
    Cut(usize),
    /// All of it, whatever was asked for.
    NoRanges,
    /// Of no stated length: until the connection ends.
    NoLength,
    /// A range, but not the one asked for.
    OtherRange,
    /// Nothing but a status.
    Status(u16),
}

/// Serves `content` to as many requests as there are answers; returns where each began.
struct Server {
    url: String,
    thread: JoinHandle<Vec<usize>>,
}

impl Server {
    fn new(content: &[u8], answers: &[Answer]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/archive", listener.local_addr().unwrap());
        let (content, answers) = (content.to_vec(), answers.to_vec());
        let thread = thread::spawn(move || {
            let serve = |answer| serve(&listener.accept().unwrap().0, &content, answer);
            answers.into_iter().map(serve).collect()
        });
        Self { url, thread }
    }

    fn begun_at(self) -> Vec<usize> {
        self.thread.join().unwrap()
    }
}

fn serve(mut stream: &TcpStream, content: &[u8], answer: Answer) -> usize {
    let mut from = 0;
    for line in BufReader::new(stream).lines() {
        let line = line.unwrap().to_lowercase();
        if let Some(range) = line.strip_prefix("range: bytes=") {
            from = range.trim_end_matches('-').parse().unwrap();
        }
        if line.is_empty() {
            break;
        }
    }
    let all = content.len();
    let (start, head) = match answer {
        Answer::Status(status) => (all, format!("{status} Odd\r\nContent-Length: 0")),
        Answer::NoLength => (0, "200 OK".to_owned()),
        Answer::NoRanges => (0, format!("200 OK\r\nContent-Length: {all}")),
        _ if from == 0 => (0, format!("200 OK\r\nContent-Length: {all}")),
        _ => {
            let stated = from + usize::from(matches!(answer, Answer::OtherRange));
            let range = format!("bytes {stated}-{}/{all}", all - 1);
            let length = all - from;
            let head = format!("206 Part\r\nContent-Range: {range}\r\nContent-Length: {length}");
            (from, head)
        }
    };
    let mut body = &content[start..];
    if let Answer::Cut(bytes) = answer {
        body = &body[..bytes];
    }
    let head = format!("HTTP/1.1 {head}\r\nConnection: close\r\n\r\n");
    // A client that has seen enough hangs up.
    let _ = stream
        .write_all(head.as_bytes())
        .and_then(|()| stream.write_all(body));
    from
}

fn leak(text: String) -> &'static str {
    Box::leak(text.into_boxed_str())
}

/// What `content` should be fetched as.
fn expected(content: &[u8], ending: &str) -> Archive {
    let digest = Md5::digest(content);
    Archive {
        name: "toy",
        url: leak(format!("http://127.0.0.1:9/toy{ending}")),
        folder: "toy",
        bytes: content.len() as u64,
        md5: leak(digest.iter().map(|byte| format!("{byte:02x}")).collect()),
        limits: Limits {
            entries: 6,
            bytes: 10_000,
        },
    }
}

/// A tar entry whose name is written as it is, which the crate refuses to.
fn tar_entry(tar: &mut tar::Builder<impl Write>, kind: tar::EntryType, name: &str, content: &[u8]) {
    let mut header = tar::Header::new_old();
    header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
    header.set_entry_type(kind);
    header.set_mode(0o644);
    header.set_size(content.len() as u64);
    if kind.is_symlink() || kind.is_hard_link() {
        header.as_old_mut().linkname[..4].copy_from_slice(b"/etc");
    }
    header.set_cksum();
    tar.append(&header, content).unwrap();
}

fn tar_of(entries: &[(tar::EntryType, &str, &[u8])]) -> Vec<u8> {
    let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for (kind, name, content) in entries {
        tar_entry(&mut tar, *kind, name, content);
    }
    tar.into_inner().unwrap().finish().unwrap()
}

fn zip_of(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in entries {
        zip.start_file(*name, SimpleFileOptions::default()).unwrap();
        zip.write_all(content).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

const FILE: tar::EntryType = tar::EntryType::Regular;
const FOLDER: tar::EntryType = tar::EntryType::Directory;

/// Bytes that do not compress.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 1u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..length).map(|_| next()).collect()
}

fn good() -> Vec<u8> {
    tar_of(&[
        (FOLDER, "./", b""),
        (FOLDER, "toy/", b""),
        (FILE, "toy/a.bin", &noise(5000)),
        (FILE, "./toy/deep/er/b.txt", b"words"),
    ])
}

/// Fetches from a server with these answers; where each request began is checked.
fn fetch_from(
    root: &TempDir,
    archive: &Archive,
    content: &[u8],
    answer: Answer,
    begun_at: usize,
) -> Result<PathBuf, FetchError> {
    let server = Server::new(content, &[answer]);
    let result = fetch(archive, root.path(), Some(&server.url), &|_| ());
    assert_eq!(server.begun_at(), [begun_at]);
    result
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    entries
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect()
}

#[track_caller]
fn says(result: Result<PathBuf, FetchError>, words: &[&str]) {
    let message = result.unwrap_err().to_string();
    for word in words {
        assert!(message.contains(word), "no `{word}`: {message}");
    }
}

#[track_caller]
fn check_good(root: &TempDir, result: Result<PathBuf, FetchError>) {
    let folder = result.unwrap();
    assert_eq!(folder, root.path().join("toy"));
    assert_eq!(fs::read(folder.join("a.bin")).unwrap(), noise(5000));
    assert_eq!(fs::read(folder.join("deep/er/b.txt")).unwrap(), b"words");
    assert_eq!(names(root.path()), ["toy"], "nothing else is left");
}

#[test]
fn an_archive_is_fetched_checked_and_unpacked() {
    for answer in [Answer::Whole, Answer::NoLength] {
        let (root, content) = (TempDir::new().unwrap(), good());
        let archive = expected(&content, ".tar.gz");
        check_good(&root, fetch_from(&root, &archive, &content, answer, 0));
        says(
            fetch(&archive, root.path(), None, &|_| ()),
            &["is there already"],
        );
    }
    let root = TempDir::new().unwrap();
    let content = zip_of(&[("toy/a.bin", &noise(5000)), ("toy/deep/er/b.txt", b"words")]);
    let archive = expected(&content, ".zip");
    check_good(
        &root,
        fetch_from(&root, &archive, &content, Answer::Whole, 0),
    );
}

#[test]
fn a_cut_download_goes_on_where_it_ended() {
    let (root, content) = (TempDir::new().unwrap(), good());
    let archive = expected(&content, ".tar.gz");
    let part = root.path().join("toy.tar.gz.part");
    let cut = |bytes, begun_at| {
        let result = fetch_from(&root, &archive, &content, Answer::Cut(bytes), begun_at);
        says(result, &["what has arrived is kept"]);
    };
    cut(1000, 0);
    assert_eq!(fs::read(&part).unwrap(), content[..1000]);
    cut(500, 1000);
    assert_eq!(fs::read(&part).unwrap(), content[..1500]);
    let result = fetch_from(&root, &archive, &content, Answer::OtherRange, 1500);
    says(result, &["another part"]);
    assert_eq!(fs::read(&part).unwrap(), content[..1500]);
    check_good(
        &root,
        fetch_from(&root, &archive, &content, Answer::Whole, 1500),
    );
}

#[test]
fn a_server_without_ranges_begins_anew() {
    let (root, content) = (TempDir::new().unwrap(), good());
    let archive = expected(&content, ".tar.gz");
    fs::write(root.path().join("toy.tar.gz.part"), &content[..99]).unwrap();
    check_good(
        &root,
        fetch_from(&root, &archive, &content, Answer::NoRanges, 99),
    );
    // What is too long is of something else.
    let root = TempDir::new().unwrap();
    fs::write(
        root.path().join("toy.tar.gz.part"),
        noise(content.len() + 1),
    )
    .unwrap();
    check_good(
        &root,
        fetch_from(&root, &archive, &content, Answer::Whole, 0),
    );
}

#[test]
fn a_server_that_has_nothing_is_named() {
    let (root, content) = (TempDir::new().unwrap(), good());
    let archive = expected(&content, ".tar.gz");
    for status in [404, 403, 500] {
        let result = fetch_from(&root, &archive, &content, Answer::Status(status), 0);
        says(result, &[&status.to_string(), "http://127.0.0.1", "--url"]);
    }
    // Nobody listens on the port of a listener that is gone.
    let gone = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let url = format!("http://{gone}/");
    let result = fetch(&archive, root.path(), Some(&url), &|_| ());
    says(result, &[&url, "--url"]);
    says(
        fetch(&archive, root.path(), Some("nonsense"), &|_| ()),
        &["nonsense"],
    );
    assert_eq!(names(root.path()), [""; 0]);
}

#[test]
fn only_the_official_archive_is_opened() {
    let (root, content) = (TempDir::new().unwrap(), good());
    let archive = expected(&content, ".tar.gz");
    let mut other = content.clone();
    other[700] ^= 1;
    let result = fetch_from(&root, &archive, &other, Answer::Whole, 0);
    says(result, &["MD5", archive.md5, "removed"]);
    let longer = [&content[..], b"!"].concat();
    for answer in [Answer::Whole, Answer::NoLength] {
        let result = fetch_from(&root, &archive, &longer, answer, 0);
        says(result, &["bytes long", &content.len().to_string()]);
    }
    let shorter = &content[..content.len() - 1];
    let result = fetch_from(&root, &archive, shorter, Answer::Whole, 0);
    says(result, &["bytes long"]);
    assert!(!root.path().join("toy").exists());
}

/// Fetches what must not be unpacked.
#[track_caller]
fn refused(content: &[u8], ending: &str, words: &[&str]) {
    let outer = TempDir::new().unwrap();
    let root = TempDir::new_in(outer.path()).unwrap();
    let archive = expected(content, ending);
    says(
        fetch_from(&root, &archive, content, Answer::Whole, 0),
        words,
    );
    // The archive itself stays, to be looked at.
    assert_eq!(names(root.path()), [format!("toy{ending}.part")]);
    assert_eq!(names(outer.path()).len(), 1, "nothing escaped");
}

#[test]
fn archives_do_not_escape() {
    let links = [tar::EntryType::Symlink, tar::EntryType::Link];
    for kind in links
        .into_iter()
        .chain([tar::EntryType::Fifo, tar::EntryType::Char])
    {
        let content = tar_of(&[(kind, "toy/link", b"")]);
        refused(
            &content,
            ".tar.gz",
            &["toy/link", "neither a file nor a folder"],
        );
    }
    for name in [
        "../evil",
        "toy/../../evil",
        "/tmp/evil",
        "toy/C:evil",
        "toy/..\\evil",
    ] {
        let content = tar_of(&[(FILE, "toy/a", b"x"), (FILE, name, b"x")]);
        refused(&content, ".tar.gz", &["evil", "leads out"]);
        let content = zip_of(&[("toy/a", b"x"), (name, b"x")]);
        refused(&content, ".zip", &["evil", "leads out"]);
    }
    for name in ["evil", "other/evil", "toys/evil"] {
        let content = tar_of(&[(FILE, name, b"x")]);
        refused(&content, ".tar.gz", &["evil", "does not lie in toy"]);
    }
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    zip.add_symlink("toy/link", "/etc", SimpleFileOptions::default())
        .unwrap();
    let content = zip.finish().unwrap().into_inner();
    refused(&content, ".zip", &["toy/link", "is a link"]);
    // Written through a file of the same name, the second would be anywhere the first points.
    let content = tar_of(&[(FILE, "toy/a", b"x"), (FILE, "toy/a", b"y")]);
    refused(&content, ".tar.gz", &["cannot be written"]);
}

#[test]
fn archives_do_not_explode() {
    let zeros = vec![0; 10_001];
    refused(
        &tar_of(&[(FILE, "toy/a", &zeros)]),
        ".tar.gz",
        &["unpacks to more"],
    );
    refused(&zip_of(&[("toy/a", &zeros)]), ".zip", &["unpacks to more"]);
    let halves = [("toy/a", &zeros[..5001]), ("toy/b", &zeros[..5000])];
    refused(&zip_of(&halves), ".zip", &["unpacks to more"]);
    let names: Vec<String> = (0..7).map(|i| format!("toy/{i}")).collect();
    let many: Vec<_> = names
        .iter()
        .map(|name| (FILE, name.as_str(), &b""[..]))
        .collect();
    refused(&tar_of(&many), ".tar.gz", &["more than 6 files"]);
    let many: Vec<_> = names.iter().map(|name| (name.as_str(), &b""[..])).collect();
    refused(&zip_of(&many), ".zip", &["more than 6 files"]);
}

#[test]
fn damaged_archives_are_said_to_be() {
    for ending in [".tar.gz", ".zip"] {
        refused(&noise(3000), ending, &["no readable archive"]);
    }
    let content = good();
    refused(
        &content[..content.len() / 2],
        ".tar.gz",
        &["no readable archive"],
    );
    refused(&tar_of(&[]), ".tar.gz", &["no folder toy"]);
}

#[test]
fn only_known_names_are_downloads() {
    let message = archive("imagenet").unwrap_err().to_string();
    assert!(
        message.contains("cifar10, cifar100, tiny-imagenet"),
        "{message}"
    );
    for name in ["cifar10", "cifar100", "tiny-imagenet"] {
        assert_eq!(archive(name).unwrap().md5.len(), 32);
    }
}

#[test]
fn progress_is_heard() {
    let (root, content) = (TempDir::new().unwrap(), good());
    let archive = expected(&content, ".tar.gz");
    let server = Server::new(&content, &[Answer::Whole]);
    let heard = std::cell::RefCell::new(Vec::new());
    let listen = |bytes| heard.borrow_mut().push(bytes);
    fetch(&archive, root.path(), Some(&server.url), &listen).unwrap();
    let heard = heard.into_inner();
    assert!(heard.is_sorted());
    assert_eq!(
        (heard.first(), heard.last()),
        (Some(&0), Some(&archive.bytes))
    );
}
