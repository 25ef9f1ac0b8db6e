//! Windows along an axis of an image, and which of its pixels they meet: what a convolution or a
//! pool reads.

use std::collections::HashSet;

/// Windows of `kernel` pixels, `stride` apart, over `size` pixels with `padding` on either side.
#[derive(Debug, Clone, Copy)]
pub(super) struct Windows {
    pub size: usize,
    pub kernel: usize,
    pub stride: usize,
    pub padding: usize,
}

impl Windows {
    /// How many there are; a window with its padding is no larger than the image with its own.
    pub fn count(&self) -> usize {
        (self.size + 2 * self.padding - self.kernel) / self.stride + 1
    }

    /// All that meet: a window, its tap, and the pixel under it.
    fn meetings(self) -> impl Iterator<Item = (usize, usize, usize)> {
        let pairs = (0..self.count()).flat_map(move |n| (0..self.kernel).map(move |tap| (n, tap)));
        pairs.filter_map(move |(n, tap)| {
            let pixel = (n * self.stride + tap).checked_sub(self.padding)?;
            (pixel < self.size).then_some((n, tap, pixel))
        })
    }

    /// How often a tap lies on a pixel.
    pub fn products(self) -> usize {
        self.meetings().count()
    }

    /// Pixels that lie under a tap: all of them, unless the stride is larger than the kernel or
    /// leaves a rest.
    pub fn pixels(self) -> usize {
        distinct(self.meetings().map(|(.., pixel)| pixel))
    }

    /// Taps that ever lie on a pixel: all of them, unless the image is smaller than the padding.
    pub fn taps(self) -> usize {
        distinct(self.meetings().map(|(_, tap, _)| tap))
    }

    /// Windows that meet a pixel.
    pub fn windows(self) -> usize {
        distinct(self.meetings().map(|(window, ..)| window))
    }
}

/// How many different numbers there are.
pub(super) fn distinct(numbers: impl Iterator<Item = usize>) -> usize {
    numbers.collect::<HashSet<_>>().len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strides_and_padding_leave_some_out() {
        let windows = |size, kernel, stride, padding| Windows {
            size,
            kernel,
            stride,
            padding,
        };
        let of = |w: Windows| [w.count(), w.pixels(), w.taps(), w.windows()];
        assert_eq!(windows(8, 3, 1, 1).products(), 22);
        assert_eq!(of(windows(8, 3, 1, 1)), [8, 8, 3, 8]);
        // Two of every three.
        assert_eq!(of(windows(8, 2, 3, 0)), [3, 6, 2, 3]);
        assert_eq!(of(windows(7, 1, 2, 0)), [4, 4, 1, 4]);
        // The last pixel is a rest.
        assert_eq!(of(windows(6, 2, 3, 0)), [2, 4, 2, 2]);
        // A pixel in the midst of padding, under the middle tap only.
        assert_eq!(of(windows(1, 3, 1, 1)), [1, 1, 1, 1]);
        // Windows that lie beside it.
        assert_eq!(of(windows(1, 2, 1, 3)), [6, 1, 2, 2]);
    }
}
