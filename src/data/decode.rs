//! From a file to the bytes of an image: cropping, scaling.
//!
//! Scaling is bilinear over the area that a pixel comes from (a triangle as wide as the scale,
//! so nothing is skipped when an image shrinks), on 8 bits, as Pillow does it for torchvision.

use super::augment::{ResizedCrop, resized_crop};
use super::picture;
use fast_image_resize::images::{CroppedImage, Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use image::RgbImage;
use std::path::Path;

/// What part of a picture becomes the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// All of it, but for what hangs over on the longer side.
    Fill,
    /// The middle, 7/8 of what [`Part::Fill`] takes: the test crop of ImageNet, 224 of 256.
    Middle,
    /// A random rectangle: the training crop of ImageNet.
    Random {
        seed: u32,
        epoch: u32,
        /// Index of the image in its data set.
        image: u32,
    },
}

/// Writes the image in a file as a red, a green and a blue plane of `height × width` to `out`.
pub(super) fn decode(
    path: &Path,
    part: Part,
    (height, width): (u32, u32),
    resizer: &mut Resizer,
    out: &mut [u8],
) -> Result<(), String> {
    let picture = picture::read(path)?;
    let whole = (picture.height(), picture.width()) == (height, width);
    if whole && part == Part::Fill {
        to_planes(&picture, out);
        return Ok(());
    }
    let scaled = scale(&picture, part, (height, width), resizer)?;
    to_planes(&scaled, out);
    Ok(())
}

/// Cuts `part` out of a picture and scales it to `height × width`.
fn scale(
    picture: &RgbImage,
    part: Part,
    (height, width): (u32, u32),
    resizer: &mut Resizer,
) -> Result<RgbImage, String> {
    let (w, h) = picture.dimensions();
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let source = ImageRef::new(w, h, picture.as_raw(), PixelType::U8x3).map_err(|e| text(&e))?;
    let mut scaled = Image::new(width, height, PixelType::U8x3);
    let bilinear = ResizeAlg::Convolution(FilterType::Bilinear);
    let options = ResizeOptions::new().resize_alg(bilinear);
    match part {
        Part::Fill => {
            let options = options.fit_into_destination(None);
            resizer.resize(&source, &mut scaled, &options)
        }
        Part::Middle => {
            // Scaled as a whole, then cut: a pixel at the edge of the cut still sees its
            // neighbours beyond. Both sides come to whole pixels first, as in torchvision.
            let (short, long) = (w.min(h), w.max(h));
            let goal = u64::from(width.max(height)) * 8 / 7;
            let scaled_long = (goal * u64::from(long) / u64::from(short.max(1))) as f64;
            let along = |side: u32| {
                if side == short {
                    goal as f64
                } else {
                    scaled_long
                }
            };
            let span = |side: u32, cut: u32| {
                let factor = f64::from(side) / along(side);
                let margin = ((along(side) - f64::from(cut)) / 2.0).round_ties_even();
                (margin.max(0.0) * factor, f64::from(cut) * factor)
            };
            let ((left, cut_w), (top, cut_h)) = (span(w, width), span(h, height));
            resizer.resize(&source, &mut scaled, &options.crop(left, top, cut_w, cut_h))
        }
        Part::Random { seed, epoch, image } => {
            let ResizedCrop {
                top,
                left,
                height,
                width,
            } = resized_crop((h, w), seed, epoch, image);
            // Cut, then scaled: nothing outside the rectangle takes part.
            let cut = CroppedImage::new(&source, left, top, width, height).map_err(|e| text(&e))?;
            resizer.resize(&cut, &mut scaled, &options)
        }
    }
    .map_err(|error| text(&error))?;
    RgbImage::from_raw(width, height, scaled.into_vec()).ok_or_else(|| "a defect".to_owned())
}

/// Pixel by pixel to plane by plane.
fn to_planes(image: &RgbImage, out: &mut [u8]) {
    let (red, rest) = out.split_at_mut(out.len() / 3);
    let (green, blue) = rest.split_at_mut(rest.len() / 2);
    let planes = red.iter_mut().zip(green).zip(blue);
    for (pixel, ((red, green), blue)) in image.pixels().zip(planes) {
        [*red, *green, *blue] = pixel.0;
    }
}
