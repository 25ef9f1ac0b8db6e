//! Images in memory.

/// Images of one size with their labels.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Images {
    /// In pixels.
    pub height: usize,
    /// In pixels.
    pub width: usize,
    /// N×3×H×W bytes: per image a red, a green and a blue plane, row by row.
    pub pixels: Vec<u8>,
    /// One class index per image.
    pub labels: Vec<u32>,
}

/// What tells the images of a data set from others, by their pixels and labels.
pub(super) fn digest(train: &Images, test: &Images) -> String {
    let of = |images: &Images| {
        let labels = images.labels.iter().flat_map(|label| label.to_le_bytes());
        let labels: Vec<u8> = labels.collect();
        crc32c::crc32c_append(crc32c::crc32c(&labels), &images.pixels)
    };
    format!("{:08x}{:08x}", of(train), of(test))
}

impl Images {
    /// The pixels as numbers in 0…1.
    pub fn unit(&self) -> Vec<f32> {
        let unit = |&byte: &u8| f32::from(byte) / 255.0;
        self.pixels.iter().map(unit).collect()
    }

    /// Number of images.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Bytes of one image, `3 · height · width`.
    pub fn image_bytes(&self) -> usize {
        3 * self.height * self.width
    }

    /// The three planes of image `index`. Panics when there is no such image.
    pub fn image(&self, index: usize) -> &[u8] {
        let bytes = self.image_bytes();
        &self.pixels[index * bytes..][..bytes]
    }

    /// Copies the images of these indices, in this order. Panics when there is no such image.
    pub fn subset(&self, indices: &[u32]) -> Self {
        let mut pixels = Vec::with_capacity(indices.len() * self.image_bytes());
        for &index in indices {
            pixels.extend_from_slice(self.image(index as usize));
        }
        Self {
            height: self.height,
            width: self.width,
            pixels,
            labels: indices
                .iter()
                .map(|&index| self.labels[index as usize])
                .collect(),
        }
    }

    /// Images per class.
    pub fn class_counts(&self, classes: usize) -> Vec<usize> {
        let mut counts = vec![0; classes];
        for &label in &self.labels {
            counts[label as usize] += 1;
        }
        counts
    }
}
