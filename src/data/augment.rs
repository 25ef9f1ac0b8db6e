//! How images that are read from their files are varied, on the host. What is drawn for an
//! image depends on seed, epoch and the image alone, so any batch can be made again at any
//! time; shift and mirror image draw the very numbers that `shaders/augment.wgsl` draws for
//! images on the device.

use crate::reference::random::{below, random};

/// Purpose words of the random streams; the first three are those of the shader.
const CROP_X: u32 = 0;
const CROP_Y: u32 = 1;
const FLIP: u32 = 2;
/// The rectangles of [`resized_crop`]: four numbers for each of ten attempts.
const RECTANGLE: u32 = 0x5243_0000;

/// When images are mirrored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Flip {
    /// Never.
    #[default]
    Never,
    /// By the toss of a coin.
    Random,
    /// In every other epoch; where to begin, by the toss of a coin. Two epochs then hold every
    /// image both ways, which chance alone leaves out for half of the images (Jordan, "94 % on
    /// CIFAR-10 in 3.29 seconds", 2024).
    Alternating,
}

impl Flip {
    /// Whether image `image` is mirrored in epoch `epoch`.
    pub fn mirrors(self, seed: u32, epoch: u32, image: u32) -> bool {
        let coin = |epoch: u32| below(random(seed, epoch, image, FLIP), 2);
        match self {
            Flip::Never => false,
            Flip::Random => coin(epoch) == 1,
            Flip::Alternating => (coin(0) + epoch) % 2 == 1,
        }
    }
}

/// A rectangle within a picture, in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResizedCrop {
    /// First row.
    pub top: u32,
    /// First column.
    pub left: u32,
    /// Rows.
    pub height: u32,
    /// Columns.
    pub width: u32,
}

/// The rectangle of a picture of `height × width` that training sees: of 8 to 100 % of its area,
/// uniform, and of an aspect ratio of 3:4 to 4:3, log-uniform; the middle when ten attempts do
/// not fit. As torchvision's `RandomResizedCrop`, after Szegedy et al., "Going deeper with
/// convolutions", 2015.
pub fn resized_crop((height, width): (u32, u32), seed: u32, epoch: u32, image: u32) -> ResizedCrop {
    let (h, w) = (f64::from(height), f64::from(width));
    for attempt in 0..10 {
        let bits = |k: u32| random(seed, epoch, image, RECTANGLE + 4 * attempt + k);
        let unit = |k: u32| f64::from(bits(k)) / f64::from(u32::MAX);
        let area = h * w * (0.08 + 0.92 * unit(0));
        let span = (4.0f64 / 3.0).ln();
        let ratio = (span * (2.0 * unit(1) - 1.0)).exp();
        let (cut_w, cut_h) = ((area * ratio).sqrt().round(), (area / ratio).sqrt().round());
        if (1.0..=w).contains(&cut_w) && (1.0..=h).contains(&cut_h) {
            let (cut_w, cut_h) = (cut_w as u32, cut_h as u32);
            // 32 bits times a range, then the high half: as `below`, for large ranges.
            let place = |bits: u32, range: u32| (u64::from(bits) * (u64::from(range) + 1)) >> 32;
            return ResizedCrop {
                top: place(bits(2), height - cut_h) as u32,
                left: place(bits(3), width - cut_w) as u32,
                height: cut_h,
                width: cut_w,
            };
        }
    }
    let cut_w = w.min((h * 4.0 / 3.0).round()).max(1.0) as u32;
    let cut_h = h.min((w * 4.0 / 3.0).round()).max(1.0) as u32;
    ResizedCrop {
        top: (height - cut_h) / 2,
        left: (width - cut_w) / 2,
        height: cut_h,
        width: cut_w,
    }
}

/// Moves an image (planes of `height × width`) by up to `pad` pixels either way, black moving
/// in: the crop of an image with `pad` black pixels around it.
pub fn shift(
    planes: &mut [u8],
    (height, width): (usize, usize),
    pad: u32,
    (seed, epoch, image): (u32, u32, u32),
) {
    let draw = |purpose| below(random(seed, epoch, image, purpose), 2 * pad + 1) as usize;
    let (down, right) = (draw(CROP_Y), draw(CROP_X));
    let pad = pad as usize;
    for plane in planes.chunks_exact_mut(height * width) {
        let source = plane.to_vec();
        plane.fill(0);
        for y in 0..height {
            let Some(row) = (y + down).checked_sub(pad).filter(|&row| row < height) else {
                continue;
            };
            // Columns whose source lies within the image.
            let first = pad.saturating_sub(right).min(width);
            let last = (width + pad).saturating_sub(right).min(width).max(first);
            if first >= last {
                continue;
            }
            let from = row * width + (first + right - pad);
            plane[y * width + first..y * width + last]
                .copy_from_slice(&source[from..from + last - first]);
        }
    }
}

/// Mirrors an image left to right.
pub fn mirror(planes: &mut [u8], width: usize) {
    planes.chunks_exact_mut(width).for_each(<[u8]>::reverse);
}
