//! Pictures are read as libjpeg and Pillow read them, or left out and named; nothing cut short is taken
//! for a whole one.

use autorep::data::{self, OpenOptions};
use image::{ImageFormat, Rgb, RgbImage};
use std::fs;
use std::io::{Cursor, Write};
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

/// Width, height, and RGB pixel by pixel.
#[derive(Debug, Clone, PartialEq)]
struct Picture {
    width: usize,
    height: usize,
    pixels: Vec<u8>,
}

/// What becomes of a file of so many pixels in a data set: the picture, or `None` where it is left out and
/// named.
fn read(name: &str, bytes: &[u8], (width, height): (usize, usize)) -> Option<Picture> {
    let folder = TempDir::new().unwrap();
    let file = |at: &str, bytes: &[u8]| {
        let path = folder.path().join(at);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    };
    let mut plain = Vec::new();
    RgbImage::from_pixel(width as u32, height as u32, Rgb([9, 99, 200]))
        .write_to(&mut Cursor::new(&mut plain), ImageFormat::Png)
        .unwrap();
    for at in [
        "train/a/z.png",
        "train/b/z.png",
        "test/a/z.png",
        "test/b/z.png",
    ] {
        file(at, &plain);
    }
    file(&format!("train/a/{name}"), bytes);
    let options = OpenOptions::default();
    let dataset = data::open(folder.path().to_str().unwrap(), &options).unwrap();
    if dataset.train.len() == 2 {
        assert_eq!(dataset.problems.len(), 1, "{:?}", dataset.problems);
        assert!(dataset.problems[0].contains(name), "{:?}", dataset.problems);
        return None;
    }
    assert_eq!(dataset.problems, Vec::<String>::new());
    let image = dataset.train.image(0);
    let plane = width * height;
    let pixels = (0..plane).flat_map(|at| [image[at], image[plane + at], image[2 * plane + at]]);
    Some(Picture {
        width,
        height,
        pixels: pixels.collect(),
    })
}

/// Mean and largest difference of two pictures.
fn difference(a: &Picture, b: &Picture) -> (f64, u8) {
    assert_eq!((a.width, a.height), (b.width, b.height));
    let pairs = a.pixels.iter().zip(&b.pixels);
    let each: Vec<u8> = pairs.map(|(a, b)| a.abs_diff(*b)).collect();
    let sum: f64 = each.iter().map(|&d| f64::from(d)).sum();
    (sum / each.len() as f64, each.into_iter().max().unwrap())
}

/// JPEGs of sorts that few programs write, each with the pixels that libjpeg makes of it.
fn fixtures() -> Vec<(String, Vec<u8>, Picture)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/pictures");
    let paths = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let jpegs = paths.filter(|path| path.extension().is_some_and(|kind| kind == "jpg"));
    let fixture = |path: std::path::PathBuf| {
        let truth = image::open(path.with_extension("png")).unwrap().into_rgb8();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let truth = Picture {
            width: truth.width() as usize,
            height: truth.height() as usize,
            pixels: truth.into_raw(),
        };
        (name, fs::read(path).unwrap(), truth)
    };
    jpegs.map(fixture).collect()
}

#[test]
fn rare_jpegs_have_the_pixels_of_libjpeg() {
    let fixtures = fixtures();
    assert_eq!(fixtures.len(), 6);
    for (name, bytes, truth) in fixtures {
        let size = (truth.width, truth.height);
        let read = read(&name, &bytes, size).unwrap_or_else(|| panic!("{name} is left out"));
        let (mean, largest) = difference(&read, &truth);
        assert!(mean < 1.0 && largest < 16, "{name}: {mean} {largest}");
        // The comparison can fail: red for blue.
        let mut swapped = read.clone();
        swapped
            .pixels
            .chunks_mut(3)
            .for_each(|pixel| pixel.swap(0, 2));
        assert!(difference(&swapped, &truth).0 > 2.0, "{name} is grey");
    }
}

#[test]
fn a_jpeg_cut_short_anywhere_is_left_out() {
    for (name, bytes, truth) in fixtures() {
        let size = (truth.width, truth.height);
        let few = [1, 2, 3, 10];
        let cuts = (1..20).map(|part| bytes.len() * part / 20);
        for keep in cuts.chain(few.map(|few| bytes.len() - few)) {
            assert_eq!(
                read(&name, &bytes[..keep], size),
                None,
                "{name} cut to {keep} bytes"
            );
        }
        // What follows the end is no part of it.
        let more = [&bytes[..], b"what follows"].concat();
        assert!(read(&name, &more, size).is_some(), "{name}");
    }
}

/// Pillow writes every format, and reads it again: name, width, height, and the pixels.
const PILLOW: &str = r#"
import io, json, sys
import numpy as np
from PIL import Image

files = {}
def save(name, image, kind, **more):
    file = io.BytesIO(); image.save(file, kind, **more); files[name] = file.getvalue()
for width, height in [(1, 1), (7, 5), (16, 16), (17, 9), (33, 40)]:
    y, x = np.mgrid[0:height, 0:width]
    waves = [128 + 100 * np.sin(x / 5 + y / 9), 128 + 90 * np.cos(x / 7), 128 + 80 * np.sin(y / 4)]
    image = Image.fromarray(np.clip(np.stack(waves, -1), 0, 255).astype("uint8"))
    size = f"{width}x{height}"
    for mode in ["RGB", "L", "CMYK"]:
        for sampling in [0, 1, 2]:
            for progressive in [0, 1]:
                for restart in [0, 2]:
                    more = dict(quality=92, subsampling=sampling, progressive=bool(progressive))
                    if restart: more["restart_marker_blocks"] = restart
                    save(f"{size}-{mode}-{sampling}-{progressive}-{restart}.jpg", image.convert(mode), "JPEG", **more)
    for kind, modes in dict(PNG="RGB L P RGBA LA 1", BMP="RGB L P 1", GIF="P L", TIFF="RGB L", PPM="RGB L 1").items():
        for mode in modes.split():
            save(f"{size}-{mode}.{kind.lower()}", image.convert(mode), kind)
    save(f"{size}.webp", image, "WEBP", lossless=True)
    for compression in ["tiff_lzw", "tiff_deflate", "packbits"]:
        save(f"{size}-{compression}.tiff", image, "TIFF", compression=compression)
for name, data in files.items():
    image = Image.open(io.BytesIO(data)).convert("RGB")
    open(f"{sys.argv[1]}/{name}", "wb").write(data)
    open(f"{sys.argv[1]}/{name}.rgb", "wb").write(np.array([image.width, image.height], "<u4").tobytes() + image.tobytes())
"#;

#[test]
fn every_format_has_the_pixels_of_pillow_but_only_where_autorep_python_is_set() {
    let Some(python) = std::env::var_os("AUTOREP_PYTHON") else {
        // Straight to the terminal: a passing test's `eprintln!` is swallowed.
        let line = b"NOT RUN: every_format_has_the_pixels_of_pillow: AUTOREP_PYTHON names no Python with Pillow\n";
        std::io::stderr().write_all(line).unwrap();
        return;
    };
    let folder = TempDir::new().unwrap();
    let written = Command::new(python)
        .arg("-c")
        .arg(PILLOW)
        .arg(folder.path())
        .output()
        .unwrap();
    assert!(
        written.status.success(),
        "{}",
        String::from_utf8_lossy(&written.stderr)
    );
    let mut count = 0;
    for entry in fs::read_dir(folder.path()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if name.ends_with(".rgb") {
            continue;
        }
        let truth = truth(&path.with_file_name(format!("{name}.rgb")));
        let bytes = fs::read(&path).unwrap();
        let size = (truth.width, truth.height);
        let whole = read(&name, &bytes, size).unwrap_or_else(|| panic!("{name} is left out"));
        let (mean, largest) = difference(&whole, &truth);
        match name.contains(".jpg") {
            true => assert!(mean < 1.5 && largest < 24, "{name}: {mean} {largest}"),
            false => assert_eq!((mean, largest), (0.0, 0), "{name}"),
        }
        // Cut short it is left out, unless what is cut off says nothing of the pixels.
        for lost in [1, 9, bytes.len() / 3, bytes.len() * 2 / 3, bytes.len()] {
            let keep = bytes.len().saturating_sub(lost);
            if let Some(part) = read(&name, &bytes[..keep], size) {
                assert_eq!(
                    part,
                    whole,
                    "{name} cut from {} to {keep} bytes",
                    bytes.len()
                );
            }
        }
        count += 1;
    }
    assert!(count > 250, "{count}");
}

/// The pixels that Pillow has written.
fn truth(path: &Path) -> Picture {
    let bytes = fs::read(path).unwrap();
    let number = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
    Picture {
        width: number(0),
        height: number(4),
        pixels: bytes[8..].to_vec(),
    }
}
