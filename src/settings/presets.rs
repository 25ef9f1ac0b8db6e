//! Settings by name: the rows of the paper, the authors' own settings, a fast teacher.
//!
//! `assets/presets/NAME.toml` holds settings as `config.toml` does, and a table `preset` that
//! says what they are for. They are part of the program.

use serde::{Deserialize, Serialize};

/// A preset.
#[derive(Debug, Clone, Copy)]
pub struct Preset {
    /// Name of its file.
    pub name: &'static str,
    /// TOML.
    pub text: &'static str,
}

/// What a preset is for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct About {
    /// Data, network and budget.
    pub summary: String,
    /// Test accuracies that others report.
    pub reaches: String,
    /// Data set: as `autorep data fetch` names it, or imagenet.
    pub data: String,
    /// Its training images.
    pub images: usize,
    /// Height and width of its images, in pixels.
    pub side: usize,
    /// Its classes.
    pub classes: usize,
}

macro_rules! presets {
    ($($name:literal)*) => {
        /// All presets, in the order of the paper's table.
        pub const PRESETS: &[Preset] = &[$(Preset {
            name: $name,
            text: include_str!(concat!("../../assets/presets/", $name, ".toml")),
        }),*];
    };
}
presets! {
    "cifar10-resnet18-12.9k"
    "cifar100-resnet18-12.9k"
    "tiny-imagenet-resnet18-55k"
    "imagenet-efficientnet_b2-50k"
    "cifar10-wide_resnet_22_8-180k"
    "cifar100-wide_resnet_22_8-180k"
    "tiny-imagenet-wide_resnet_22_8-300k"
    "official-cifar10-resnet18-12.9k"
    "official-cifar100-resnet18-12.9k"
    "official-tiny-imagenet-resnet18-55k"
    "speedrun"
}

/// No preset has this name.
#[derive(Debug, Clone, thiserror::Error)]
#[error(
    "there is no preset `{name}`; `autorep presets` lists them (how kernels are tiled is chosen by \
     --kernels)"
)]
pub struct UnknownPreset {
    name: String,
}

/// The preset of a name.
///
/// # Errors
/// [`UnknownPreset`] where there is none of that name.
pub fn find(name: &str) -> Result<&'static Preset, UnknownPreset> {
    let mut presets = PRESETS.iter();
    presets
        .find(|preset| preset.name == name)
        .ok_or_else(|| UnknownPreset {
            name: name.to_owned(),
        })
}

impl Preset {
    /// What it is for.
    ///
    /// # Errors
    /// Only where the file in the program is wrong.
    pub fn about(&self) -> Result<About, toml::de::Error> {
        #[derive(Deserialize)]
        struct Header {
            preset: About,
        }
        toml::from_str::<Header>(self.text).map(|header| header.preset)
    }
}
