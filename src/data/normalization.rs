//! How bytes become what a network's input is: less their mean, over their spread.

use super::images::Images;

/// Mean and standard deviation of the training pixels per colour, of values in 0…1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Normalization {
    /// Mean.
    pub mean: [f32; 3],
    /// Standard deviation; never below 1/255 where it was measured.
    pub std: [f32; 3],
}

impl Normalization {
    /// The usual constants of CIFAR-10, which its image trees share.
    pub const CIFAR10: Self = Self {
        mean: [0.4914, 0.4822, 0.4465],
        std: [0.2023, 0.1994, 0.2010],
    };
    /// Those of CIFAR-100.
    pub const CIFAR100: Self = Self {
        mean: [0.5071, 0.4867, 0.4408],
        std: [0.2675, 0.2565, 0.2761],
    };
    /// Those of Tiny-ImageNet.
    pub const TINY_IMAGENET: Self = Self {
        mean: [0.480, 0.448, 0.398],
        std: [0.277, 0.269, 0.282],
    };
    /// Those of ImageNet.
    pub const IMAGENET: Self = Self {
        mean: [0.485, 0.456, 0.406],
        std: [0.229, 0.224, 0.225],
    };

    /// Of these images.
    ///
    /// Sums of bytes and of their squares are integers, so the result is exact and the same
    /// whatever the order. A channel without spread gets the width of one grey step, so that
    /// dividing by it stays harmless.
    pub(super) fn of(images: &Images) -> Self {
        let plane = (images.height * images.width).max(1);
        let mut sums = [(0u64, 0u64); 3];
        for (at, pixels) in images.pixels.chunks_exact(plane).enumerate() {
            let (sum, squares) = &mut sums[at % 3];
            for &pixel in pixels {
                *sum += u64::from(pixel);
                *squares += u64::from(pixel) * u64::from(pixel);
            }
        }
        let count = (images.len() * plane).max(1) as f64;
        let mean = sums.map(|(sum, _)| sum as f64 / count);
        let deviation = sums.map(|(sum, squares)| {
            let mean = sum as f64 / count;
            (squares as f64 / count - mean * mean).max(0.0).sqrt()
        });
        Self {
            mean: mean.map(|mean| (mean / 255.0) as f32),
            std: deviation.map(|std| (std.max(1.0) / 255.0) as f32),
        }
    }
}
