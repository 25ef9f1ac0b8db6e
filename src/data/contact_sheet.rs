//! A picture of a data set: one class per row.

use super::dataset::Dataset;
use image::{Rgb, RgbImage};

/// White between the images, in pixels of the sheet.
const GAP: u32 = 2;

/// The first `per_class` training images of every class, one class per row in label order,
/// small images enlarged two to four times without smoothing. Meant for small images.
pub fn contact_sheet(dataset: &Dataset, per_class: usize) -> RgbImage {
    let images = &dataset.train;
    let (height, width) = (images.height as u32, images.width as u32);
    let scale = (64 / height.max(width).max(1)).clamp(2, 4);
    let (cell_height, cell_width) = (height * scale + GAP, width * scale + GAP);
    let mut sheet = RgbImage::from_pixel(
        per_class as u32 * cell_width + GAP,
        dataset.classes.len() as u32 * cell_height + GAP,
        Rgb([255; 3]),
    );
    let mut filled = vec![0; dataset.classes.len()];
    for (index, &label) in images.labels.iter().enumerate() {
        let column = &mut filled[label as usize];
        if *column == per_class {
            continue;
        }
        let left = *column as u32 * cell_width + GAP;
        let top = label * cell_height + GAP;
        let planes = images.image(index);
        let plane = images.height * images.width;
        for y in 0..height * scale {
            for x in 0..width * scale {
                let at = (y / scale * width + x / scale) as usize;
                let pixel = [0, 1, 2].map(|channel| planes[channel * plane + at]);
                sheet.put_pixel(left + x, top + y, Rgb(pixel));
            }
        }
        *column += 1;
    }
    sheet
}
