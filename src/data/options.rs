//! What there is to choose when a data set is opened.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// What training sees of an image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Crop {
    /// All of it, moved by a few pixels.
    #[default]
    Shift,
    /// A random rectangle of the picture, scaled; in evaluation its middle: for ImageNet.
    Resized,
}

/// Where training images are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Placement {
    /// On the device if they fit, else in their files.
    #[default]
    Auto,
    /// On the device, uploaded once.
    Resident,
    /// In their files, decoded batch by batch.
    Stream,
}

/// How to open a data set.
#[derive(Clone, Debug)]
pub struct OpenOptions {
    /// Scale the images of a tree to `size × size` (the shorter side fitted, the longer one
    /// cropped in the middle), or draw the built-in images that large. Without it a tree's
    /// images must all be of one size.
    pub size: Option<u32>,
    /// Keep the decoded images of a tree in one packed file, and use it while it is current.
    pub cache: bool,
    /// Where the packed file goes when the tree itself cannot be written to; the user's
    /// cache folder if `None`.
    pub cache_dir: Option<PathBuf>,
    /// Show a progress bar while decoding, where standard error is a terminal.
    pub progress: bool,
    /// What training sees of an image; [`Crop::Resized`] needs the pictures in their files.
    pub crop: Crop,
    /// Where training images are kept.
    pub placement: Placement,
    /// So many bytes of training images may be kept on the device without being asked for.
    pub resident_bytes: u64,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self {
            size: None,
            cache: true,
            cache_dir: None,
            progress: true,
            crop: Crop::Shift,
            placement: Placement::Auto,
            resident_bytes: 4 << 30,
        }
    }
}
