//! Functions that build a [`Network`], and the table of their names. Nothing else.

mod efficientnet;
mod parts;
mod resnet;
mod wide_resnet;

use crate::graph::{Chw, Network, ShapeError};
use parts::Frame;
use resnet::{Blocks, StemPool};

/// The data set that an architecture is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Benchmark {
    /// Ten classes of 32×32 images.
    Cifar10,
    /// A thousand classes of 224×224 images, which the stem shrinks.
    ImageNet,
}

impl Benchmark {
    /// Height and width of its images.
    pub fn side(self) -> usize {
        match self {
            Self::Cifar10 => 32,
            Self::ImageNet => 224,
        }
    }

    /// Number of its classes.
    pub fn classes(self) -> usize {
        match self {
            Self::Cifar10 => 10,
            Self::ImageNet => 1000,
        }
    }
}

/// A row of the table of models.
pub struct Architecture {
    /// What it is called.
    pub name: &'static str,
    /// What it is made for.
    pub benchmark: Benchmark,
    build: Build,
}

/// The models there are. Whatever names one reads it here.
pub static ARCHITECTURES: &[Architecture] = &[
    cifar("resnet8", |frame| resnet::cifar(frame, 1)),
    cifar("resnet18", resnet::resnet18),
    cifar("resnet20", |frame| resnet::cifar(frame, 3)),
    cifar("resnet32", |frame| resnet::cifar(frame, 5)),
    cifar("wide_resnet_22_8", wide_resnet::wide_resnet_22_8),
    imagenet("efficientnet_b0", efficientnet::b0),
    imagenet("efficientnet_b2", efficientnet::b2),
    imagenet("imagenet_resnet18", |frame| {
        resnet::imagenet(frame, Blocks::Basic, StemPool::Max)
    }),
    imagenet("imagenet_resnet18_avgpool", |frame| {
        resnet::imagenet(frame, Blocks::Basic, StemPool::Average)
    }),
    imagenet("imagenet_resnet50", |frame| {
        resnet::imagenet(frame, Blocks::Bottleneck, StemPool::Max)
    }),
    imagenet("imagenet_resnet50_avgpool", |frame| {
        resnet::imagenet(frame, Blocks::Bottleneck, StemPool::Average)
    }),
];

type Build = fn(&Frame) -> Result<Network, ShapeError>;

const fn cifar(name: &'static str, build: Build) -> Architecture {
    Architecture {
        name,
        benchmark: Benchmark::Cifar10,
        build,
    }
}

const fn imagenet(name: &'static str, build: Build) -> Architecture {
    Architecture {
        name,
        benchmark: Benchmark::ImageNet,
        build,
    }
}

/// The names of all models, for messages and help.
pub fn names() -> String {
    let names: Vec<&str> = ARCHITECTURES.iter().map(|row| row.name).collect();
    names.join(", ")
}

/// The row of that name.
///
/// # Errors
/// [`ModelError::Unknown`], with the nearest name that there is.
pub fn architecture(name: &str) -> Result<&'static Architecture, ModelError> {
    let row = ARCHITECTURES.iter().find(|row| row.name == name);
    row.ok_or_else(|| {
        let distance = |row: &&Architecture| strsim::damerau_levenshtein(row.name, name);
        ModelError::Unknown {
            name: name.to_owned(),
            nearest: ARCHITECTURES
                .iter()
                .min_by_key(distance)
                .map_or("", |row| row.name),
        }
    })
}

/// A model by name, with what its shapes depend on.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelSpec {
    /// A name out of [`ARCHITECTURES`].
    pub name: String,
    /// Multiplies every channel count; 1 is the published network.
    pub width: f64,
    /// Height and width of the images.
    pub input: (usize, usize),
    /// Number of classes.
    pub classes: usize,
}

/// Why a model cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// No model of that name.
    #[error(
        "there is no model `{name}`; the nearest is `{nearest}`, of {}",
        names()
    )]
    Unknown {
        /// The name asked for.
        name: String,
        /// The one that looks most like it.
        nearest: &'static str,
    },
    /// A width multiplier out of bounds.
    #[error("the width multiplier {width} is out of bounds: choose one from 0.125 to 16")]
    Width {
        /// The width asked for.
        width: f64,
    },
    /// The images do not fit.
    #[error("the model `{name}` cannot take {height}×{width} images: {source}")]
    Shape {
        /// Model name.
        name: String,
        /// Image height.
        height: usize,
        /// Image width.
        width: usize,
        /// Layer and reason.
        source: ShapeError,
    },
}

impl ModelSpec {
    /// Builds the network.
    ///
    /// # Errors
    /// When there is no model of that name, its width is out of bounds, or the images are too
    /// small for its layers.
    pub fn build(&self) -> Result<Network, ModelError> {
        if !(0.125..=16.0).contains(&self.width) {
            return Err(ModelError::Width { width: self.width });
        }
        let (height, width) = self.input;
        let frame = Frame {
            name: &self.name,
            input: Chw {
                channels: 3,
                height,
                width,
            },
            classes: self.classes,
            width: self.width,
        };
        let build = architecture(&self.name)?.build;
        build(&frame).map_err(|source| ModelError::Shape {
            name: self.name.clone(),
            height,
            width,
            source,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Layout;

    fn counts(name: &str, size: usize, classes: usize) -> (usize, usize, usize) {
        let spec = ModelSpec {
            name: name.into(),
            width: 1.0,
            input: (size, size),
            classes,
        };
        let network = spec.build().unwrap();
        let layout = Layout::new(&network);
        (
            network.relu_total(),
            layout.parameter_count(),
            layout.sites.len(),
        )
    }

    #[test]
    fn resnet18_has_the_published_counts() {
        assert_eq!(counts("resnet18", 32, 10), (491_520, 11_173_962, 16));
        assert_eq!(counts("resnet18", 32, 100), (491_520, 11_220_132, 16));
        assert_eq!(counts("resnet18", 64, 200), (1_966_080, 11_271_432, 16));
    }

    #[test]
    fn wide_resnet_22_8_has_the_published_counts() {
        let name = "wide_resnet_22_8";
        assert_eq!(counts(name, 32, 10), (1_359_872, 17_158_106, 18));
        assert_eq!(counts(name, 32, 100), (1_359_872, 17_204_276, 18));
        assert_eq!(counts(name, 64, 200), (5_439_488, 17_255_576, 18));
    }

    #[test]
    fn the_imagenet_resnets_have_torchvisions_counts() {
        // Sites: stem, and two or three of each block.
        for pool in ["", "_avgpool"] {
            let of = |name: &str| counts(&format!("{name}{pool}"), 224, 1000);
            assert_eq!(of("imagenet_resnet18"), (2_308_096, 11_689_512, 17));
            assert_eq!(of("imagenet_resnet50"), (9_608_704, 25_557_032, 49));
        }
    }

    #[test]
    fn the_efficientnets_have_torchvisions_counts() {
        assert_eq!(counts("efficientnet_b0", 224, 1000).1, 5_288_548);
        assert_eq!(counts("efficientnet_b0", 224, 1000).2, 49);
        let b2 = counts("efficientnet_b2", 224, 1000);
        assert_eq!(b2, (8_804_162, 9_109_994, 69));
        let spec = ModelSpec {
            name: "efficientnet_b2".into(),
            width: 1.0,
            input: (224, 224),
            classes: 1000,
        };
        let network = spec.build().unwrap();
        let squeezed = network.sites().filter(|(_, node)| node.shape.plane() == 1);
        let squeezed: usize = squeezed.map(|(_, node)| node.shape.len()).sum();
        assert_eq!(squeezed, 626);
    }

    #[test]
    fn the_cifar_family_has_the_counts_of_its_formula() {
        assert_eq!(counts("resnet8", 32, 10).0, 57_344);
        assert_eq!(counts("resnet8", 32, 10).2, 6);
        assert_eq!(counts("resnet20", 32, 10).0, 3 * 57_344);
        assert_eq!(counts("resnet32", 32, 10).0, 5 * 57_344);
        assert_eq!(counts("resnet32", 32, 10).2, 30);
    }

    #[test]
    fn what_cannot_be_built_says_why() {
        let spec = ModelSpec {
            name: "resnet19".into(),
            width: 1.0,
            input: (32, 32),
            classes: 10,
        };
        let message = spec.build().unwrap_err().to_string();
        assert!(message.contains("resnet19") && message.contains("nearest is `resnet18`"));
        assert!(names().split(", ").all(|name| message.contains(name)));
        for width in [0.0, -1.0, f64::NAN, 1e9] {
            let spec = ModelSpec {
                name: "resnet8".into(),
                width,
                ..spec.clone()
            };
            assert!(matches!(spec.build(), Err(ModelError::Width { .. })));
        }
    }
}
