//! Images that are decoded batch by batch: the same as those that lie in memory, the same
//! wherever one begins, and what is broken is skipped and counted.

use autorep::data::augment::{Flip, ResizedCrop, resized_crop};
use autorep::data::loader::Variation;
use autorep::data::{
    self, Batch, Crop, DataError, Dataset, Files, Images, Loader, OpenOptions, Placement, Split,
};
use autorep::reference::augment as twin;
use image::{Rgb, RgbImage};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use tempfile::TempDir;

fn options() -> OpenOptions {
    OpenOptions {
        progress: false,
        cache: false,
        placement: Placement::Stream,
        ..OpenOptions::default()
    }
}

/// A picture in which no two pixels are alike.
fn picture(width: u32, height: u32, tint: u8) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        Rgb([
            (7 * x + tint as u32) as u8,
            (11 * y) as u8,
            (x * y) as u8 ^ tint,
        ])
    })
}

/// Two classes of `each` pictures for training, half of them for testing.
fn tree(root: &Path, each: u8, (width, height): (u32, u32)) {
    for (class, name) in ["ant", "bee"].iter().enumerate() {
        for (split, count) in [("train", each), ("test", each / 2)] {
            let folder = root.join(split).join(name);
            fs::create_dir_all(&folder).unwrap();
            for index in 0..count {
                let tint = 50 * class as u8 + index;
                let path = folder.join(format!("{index:03}.png"));
                picture(width, height, tint).save(path).unwrap();
            }
        }
    }
}

fn open(root: &Path, options: &OpenOptions) -> Result<Dataset<Split>, DataError> {
    data::open_for_training(root.to_str().unwrap(), options)
}

fn files(split: Split) -> Arc<Files> {
    match split {
        Split::Files(files) => files,
        Split::Images(_) => panic!("the images are in memory"),
    }
}

fn in_memory(root: &Path) -> Images {
    data::open(root.to_str().unwrap(), &options())
        .unwrap()
        .train
}

fn all(mut loader: Loader) -> Result<Vec<Batch>, DataError> {
    let mut batches = Vec::new();
    while let Some(batch) = loader.next().transpose()? {
        let copy = Batch {
            pixels: batch.pixels.clone(),
            labels: batch.labels.clone(),
        };
        batches.push(copy);
        // Its memory is written to again: what the copy shows was there before.
        loader.recycle(batch);
    }
    Ok(batches)
}

const VARIATION: Variation = Variation {
    seed: 3,
    epoch: 4,
    pad: 2,
    flip: Flip::Random,
};

#[track_caller]
fn refused(result: Result<Dataset<Split>, DataError>, words: &[&str]) {
    let message = result.map(|_| ()).unwrap_err().to_string();
    for word in words {
        assert!(message.contains(word), "no `{word}`: {message}");
    }
}

#[test]
fn streamed_images_are_those_in_memory() {
    let root = TempDir::new().unwrap();
    tree(root.path(), 6, (9, 8));
    let dataset = open(root.path(), &options()).unwrap();
    let memory = data::open(root.path().to_str().unwrap(), &options()).unwrap();
    assert_eq!(dataset.normalization, memory.normalization);
    assert_eq!(dataset.classes, memory.classes);
    let (train, test) = (files(dataset.train), files(dataset.test));
    assert_eq!((train.len(), test.len()), (12, 6));
    for (files, images) in [(train, memory.train), (test, memory.test)] {
        let order: Vec<u32> = (0..files.len() as u32).rev().collect();
        let batches = all(Loader::start(files, order.clone(), 5, None)).unwrap();
        let sizes: Vec<usize> = batches.iter().map(|batch| batch.labels.len()).collect();
        assert_eq!(sizes.iter().sum::<usize>(), order.len());
        assert!(sizes[..sizes.len() - 1].iter().all(|&size| size == 5));
        let want = images.subset(&order);
        let join = |part: fn(&Batch) -> Vec<u32>| batches.iter().flat_map(part).collect();
        let labels: Vec<u32> = join(|batch| batch.labels.clone());
        let pixels: Vec<u32> = join(|b| b.pixels.iter().map(|&p| u32::from(p)).collect());
        assert_eq!(labels, want.labels);
        assert!(
            pixels
                .iter()
                .copied()
                .eq(want.pixels.iter().map(|&p| u32::from(p)))
        );
    }
}

#[test]
fn the_host_varies_images_as_the_device_does() {
    let root = TempDir::new().unwrap();
    let size = (9, 8);
    tree(root.path(), 8, size);
    let images = in_memory(root.path());
    for (pad, flip) in [
        (0, Flip::Never),
        (1, Flip::Random),
        (4, Flip::Alternating),
        (12, Flip::Random),
    ] {
        // Mean 0 and this width leave bytes as they are.
        let spec = twin::Spec {
            size: (images.height, images.width),
            mean: [0.0; 3],
            std: [1.0 / 255.0; 3],
            pad: pad as usize,
            flip: flip != Flip::Never,
            alternate: flip == Flip::Alternating,
            cutout: 0,
        };
        for epoch in 0..3 {
            let train = files(open(root.path(), &options()).unwrap().train);
            let variation = Variation {
                epoch,
                pad,
                flip,
                ..VARIATION
            };
            let order: Vec<u32> = (0..16).collect();
            let batches = all(Loader::start(train, order, 16, Some(variation))).unwrap();
            let got = batches[0].pixels.chunks_exact(images.image_bytes());
            for (index, got) in (0..).zip(got) {
                let drawn = twin::Drawn::new(&spec, VARIATION.seed, epoch, index);
                let want = twin::augment(&spec, &drawn, images.image(index as usize));
                let want: Vec<u8> = want.iter().map(|value| value.round() as u8).collect();
                assert!(
                    got == want,
                    "image {index}, epoch {epoch}, pad {pad}, {flip:?}"
                );
            }
        }
    }
}

#[test]
fn batches_are_the_same_wherever_one_begins() {
    let root = TempDir::new().unwrap();
    tree(root.path(), 12, (31, 23));
    let options = OpenOptions {
        size: Some(16),
        crop: Crop::Resized,
        ..options()
    };
    // One broken file, the same for all.
    fs::write(root.path().join("train/ant/005.png"), "x").unwrap();
    let load = |from: usize, variation| {
        let train = files(open(root.path(), &options).unwrap().train);
        let order: Vec<u32> = (0..24).map(|i| i * 7 % 24).collect();
        all(Loader::start(
            train,
            order[from..].to_vec(),
            4,
            Some(variation),
        ))
        .unwrap()
    };
    let whole = load(0, VARIATION);
    assert_eq!(whole.len(), 6);
    for begun in 1..6 {
        assert!(
            load(4 * begun, VARIATION) == whole[begun..],
            "from batch {begun}"
        );
    }
    let another = |variation| assert!(load(0, variation) != whole);
    another(Variation {
        epoch: 5,
        ..VARIATION
    });
    another(Variation {
        seed: 4,
        ..VARIATION
    });
}

#[test]
fn a_broken_file_gives_its_place_to_its_neighbour() {
    let root = TempDir::new().unwrap();
    tree(root.path(), 4, (9, 8));
    fs::write(root.path().join("train/bee/003.png"), "x").unwrap();
    let train = files(open(root.path(), &options()).unwrap().train);
    let images = in_memory(root.path());
    assert_eq!(images.len(), 7, "the reader into memory leaves it out, too");
    let load = |order: &[u32], variation| {
        let loader = Loader::start(Arc::clone(&train), order.to_vec(), 3, variation);
        all(loader).unwrap().remove(0)
    };
    let plain = Some(Variation {
        pad: 0,
        flip: Flip::Never,
        ..VARIATION
    });
    // Image 7 is broken: the next one of the batch takes its place, behind the last the first.
    for (order, shown) in [
        ([7, 2, 5], [2, 2, 5]),
        ([2, 7, 5], [2, 5, 5]),
        ([2, 5, 7], [2, 5, 2]),
    ] {
        let want = images.subset(&shown);
        let batch = load(&order, plain);
        assert_eq!((&batch.labels, &batch.pixels), (&want.labels, &want.pixels));
        // In evaluation nothing counts twice.
        let shown: Vec<u32> = order.into_iter().filter(|&image| image != 7).collect();
        let want = images.subset(&shown);
        let batch = load(&order, None);
        assert_eq!((&batch.labels, &batch.pixels), (&want.labels, &want.pixels));
    }
    let broken = train.broken();
    assert_eq!(broken.len(), 1);
    let (path, reason) = broken.first_key_value().unwrap();
    assert!(path.ends_with("train/bee/003.png") && !reason.is_empty());
}

#[test]
fn too_many_broken_files_are_an_error_that_names_them() {
    let root = TempDir::new().unwrap();
    tree(root.path(), 4, (9, 8));
    let train = files(open(root.path(), &options()).unwrap().train);
    fs::write(root.path().join("train/ant/001.png"), "x").unwrap();
    fs::remove_file(root.path().join("train/bee/002.png")).unwrap();
    let message = |order: &[u32], batch, variation| {
        let train = train.subset(&(0..8).collect::<Vec<_>>());
        let loader = Loader::start(Arc::new(train), order.to_vec(), batch, variation);
        all(loader).unwrap_err().to_string()
    };
    for variation in [None, Some(VARIATION)] {
        let message = message(&[0, 1, 2, 3, 4, 5, 6, 7], 4, variation);
        for word in ["2 of 8 files", "001.png", "002.png"] {
            assert!(message.contains(word), "{message}");
        }
    }
    let root = TempDir::new().unwrap();
    tree(root.path(), 4, (9, 8));
    let train = files(open(root.path(), &options()).unwrap().train);
    fs::write(root.path().join("train/ant/001.png"), "x").unwrap();
    let loader = Loader::start(train, vec![1], 1, Some(VARIATION));
    let message = all(loader).unwrap_err().to_string();
    assert!(message.contains("none of a batch's 1 files"), "{message}");
}

#[test]
fn only_what_fits_stays_on_the_device() {
    let root = TempDir::new().unwrap();
    tree(root.path(), 4, (9, 8));
    let is_streamed = |change: &dyn Fn(&mut OpenOptions)| {
        let mut options = OpenOptions {
            placement: Placement::Auto,
            ..options()
        };
        change(&mut options);
        matches!(open(root.path(), &options).unwrap().train, Split::Files(_))
    };
    let bytes = 8 * 3 * 9 * 8;
    assert!(!is_streamed(&|_| ()));
    assert!(!is_streamed(&|options| options.resident_bytes = bytes));
    assert!(is_streamed(&|options| options.resident_bytes = bytes - 1));
    assert!(is_streamed(&|options| options.placement = Placement::Stream));
    assert!(!is_streamed(&|options| {
        options.resident_bytes = 0;
        options.placement = Placement::Resident;
    }));
    let resized = |options: &mut OpenOptions| {
        options.crop = Crop::Resized;
        options.size = Some(16);
    };
    assert!(is_streamed(&resized));
}

#[test]
fn what_cannot_be_streamed_says_so() {
    let root = TempDir::new().unwrap();
    tree(root.path(), 4, (9, 8));
    let resized = OpenOptions {
        crop: Crop::Resized,
        ..options()
    };
    refused(open(root.path(), &resized), &["--image-size 224"]);
    let resident = OpenOptions {
        placement: Placement::Resident,
        size: Some(16),
        ..resized.clone()
    };
    refused(
        open(root.path(), &resident),
        &["--resident", "augment.crop"],
    );
    for options in [options(), resized] {
        let result = data::open_for_training("builtin:size=8", &options);
        refused(result, &["builtin", "streamed"]);
    }
    picture(9, 9, 0)
        .save(root.path().join("train/ant/odd.png"))
        .unwrap();
    refused(open(root.path(), &options()), &["odd.png", "--image-size"]);
}

#[test]
fn random_rectangles_are_those_of_the_paper() {
    let size @ (height, width) = (300, 400);
    let mut areas = Vec::new();
    for image in 0..4000 {
        let ResizedCrop {
            top,
            left,
            height: h,
            width: w,
        } = resized_crop(size, 1, 2, image);
        assert!(top + h <= height && left + w <= width && h > 0 && w > 0);
        // A rounded side moves the ratio a little.
        let ratio = f64::from(w) / f64::from(h);
        assert!((0.74..1.35).contains(&ratio), "{w}×{h}");
        areas.push(f64::from(w * h) / f64::from(width * height));
    }
    let between = |low: f64, high: f64| {
        let within = areas.iter().filter(|area| (low..high).contains(*area));
        within.count() as f64
    };
    // Up to 56 % of this picture everything fits, so areas are uniform there.
    let (small, medium) = (between(0.08, 0.3), between(0.3, 0.52));
    let spread = (small + medium).sqrt();
    assert!((small - medium).abs() < 4.0 * spread, "{small} {medium}");
    assert_eq!(between(0.0, 0.079), 0.0);
    assert!(between(0.95, 1.01) > 0.0);
    // What no rectangle fits into gives its middle.
    let sliver = resized_crop((1000, 10), 1, 2, 3);
    assert_eq!((sliver.width, sliver.left), (10, 0));
    assert_eq!((sliver.height, sliver.top), (13, 493));
}

#[test]
fn the_test_crop_is_the_middle() {
    // 7/8 of the shorter side: of 32 × 48 scaled to 16 × 24, rows 1 to 15, columns 5 to 19.
    let root = TempDir::new().unwrap();
    tree(root.path(), 2, (96, 64));
    let path = root.path().join("test/ant/000.png");
    RgbImage::from_fn(96, 64, |x, y| Rgb([2 * x as u8, 3 * y as u8, 128]))
        .save(&path)
        .unwrap();
    let options = OpenOptions {
        size: Some(14),
        crop: Crop::Resized,
        ..options()
    };
    let test = files(open(root.path(), &options).unwrap().test);
    let batch = all(Loader::start(test, vec![0], 1, None))
        .unwrap()
        .remove(0);
    for y in 0..14usize {
        for x in 0..14usize {
            let at = |plane: usize| f64::from(batch.pixels[(plane * 14 + y) * 14 + x]);
            // Linear in the place, so scaling keeps it: pixel centres are 4 apart.
            let (source_x, source_y) = (4.0 * (x as f64 + 5.5) - 0.5, 4.0 * (y as f64 + 1.5) - 0.5);
            assert!((at(0) - 2.0 * source_x).abs() <= 1.0, "column {x}");
            assert!((at(1) - 3.0 * source_y).abs() <= 1.0, "row {y}");
            assert_eq!(at(2), 128.0);
        }
    }
}
