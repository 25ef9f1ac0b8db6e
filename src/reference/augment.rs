//! Twin of `shaders/augment.wgsl`.

use super::random::{below, random};

/// How images are augmented and normalised, as `kernels::augment::Spec`.
#[derive(Debug, Clone)]
pub struct Spec {
    /// Height and width.
    pub size: (usize, usize),
    /// Mean of each channel.
    pub mean: [f64; 3],
    /// Standard deviation of each channel.
    pub std: [f64; 3],
    /// Black pixels around the image before the crop.
    pub pad: usize,
    /// Whether every other image is mirrored.
    pub flip: bool,
    /// Whether an image is mirrored in every other epoch, instead of by the toss of a coin in
    /// each.
    pub alternate: bool,
    /// Side of the hole.
    pub cutout: usize,
}

/// What was drawn for one image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drawn {
    /// Row and column of the crop's corner in the padded image.
    pub crop: (usize, usize),
    /// Whether it is mirrored.
    pub flipped: bool,
    /// Row and column that the hole is centred on.
    pub hole: Option<(usize, usize)>,
}

impl Drawn {
    /// Nothing is changed: evaluation.
    pub fn nothing(spec: &Spec) -> Self {
        Self {
            crop: (spec.pad, spec.pad),
            flipped: false,
            hole: None,
        }
    }

    /// Draws for image `image` in epoch `epoch`.
    pub fn new(spec: &Spec, seed: u32, epoch: u32, image: u32) -> Self {
        let draw = |purpose: u32, bound: usize| -> usize {
            below(random(seed, epoch, image, purpose), bound as u32) as usize
        };
        let offsets = 2 * spec.pad + 1;
        let (height, width) = spec.size;
        Self {
            crop: (draw(1, offsets), draw(0, offsets)),
            flipped: spec.flip
                && match spec.alternate {
                    false => draw(2, 2) == 1,
                    true => (below(random(seed, 0, image, 2), 2) + epoch) % 2 == 1,
                },
            hole: (spec.cutout > 0).then(|| (draw(4, height), draw(3, width))),
        }
    }
}

/// Augments and normalises one image of bytes, 3×H×W.
pub fn augment(spec: &Spec, drawn: &Drawn, image: &[u8]) -> Vec<f64> {
    let (height, width) = spec.size;
    let mut out = Vec::with_capacity(image.len());
    for (c, plane) in image.chunks(height * width).enumerate() {
        // The padded plane; the crop below is as large as the image.
        let pad = spec.pad;
        let padded_width = width + 2 * pad;
        let mut padded = vec![0u8; (height + 2 * pad) * padded_width];
        for y in 0..height {
            let row = (y + pad) * padded_width + pad;
            padded[row..row + width].copy_from_slice(&plane[y * width..][..width]);
        }
        for y in 0..height {
            for x in 0..width {
                let column = if drawn.flipped { width - 1 - x } else { x };
                let byte = padded[(drawn.crop.0 + y) * padded_width + drawn.crop.1 + column];
                let value = (f64::from(byte) / 255.0 - spec.mean[c]) / spec.std[c];
                let cut = drawn.hole.is_some_and(|(row, column)| {
                    let within = |at: usize, centre: usize| {
                        // From centre − side/2 on, `side` pixels.
                        let from_start = at as i64 - centre as i64 + spec.cutout as i64 / 2;
                        (0..spec.cutout as i64).contains(&from_start)
                    };
                    within(y, row) && within(x, column)
                });
                out.push(if cut { 0.0 } else { value });
            }
        }
    }
    out
}
