//! Functions that build a [`Network`]. Nothing else.

mod efficientnet;
mod resnet;
mod wide_resnet;

use crate::graph::{Chw, Network, NodeId, Op, ShapeError};
use resnet::StemPool;

/// A model by name, with what its shapes depend on.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelSpec {
    /// One of [`NAMES`].
    pub name: String,
    /// Multiplies every channel count; 1 is the published network.
    pub width: f64,
    /// Height and width of the images.
    pub input: (usize, usize),
    /// Number of classes.
    pub classes: usize,
}

/// The models there are.
pub const NAMES: &[&str] = &[
    "resnet8",
    "resnet18",
    "resnet20",
    "wide_resnet_22_8",
    "efficientnet_b0",
    "efficientnet_b2",
    "imagenet_resnet18",
    "imagenet_resnet18_avgpool",
    "imagenet_resnet50",
    "imagenet_resnet50_avgpool",
];

/// Why a model cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// No model of that name.
    #[error("there is no model `{name}`; choose among {}", NAMES.join(", "))]
    Unknown {
        /// The name asked for.
        name: String,
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
    /// [`ModelError`].
    pub fn build(&self) -> Result<Network, ModelError> {
        if !(0.125..=16.0).contains(&self.width) {
            return Err(ModelError::Width { width: self.width });
        }
        let input = Chw {
            channels: 3,
            height: self.input.0,
            width: self.input.1,
        };
        // Channel counts stay multiples of four, which every kernel preset likes.
        let scale =
            |channels: usize| ((channels as f64 * self.width / 4.0).round() as usize).max(1) * 4;
        let (name, classes) = (self.name.as_str(), self.classes);
        let imagenet =
            |bottlenecks, pool| resnet::imagenet(name, input, classes, bottlenecks, pool, scale);
        let network = match name {
            "resnet8" => resnet::cifar(name, input, classes, 1, scale),
            "resnet20" => resnet::cifar(name, input, classes, 3, scale),
            "resnet18" => resnet::resnet18(name, input, classes, scale),
            "wide_resnet_22_8" => wide_resnet::wide_resnet_22_8(name, input, classes, scale),
            "efficientnet_b0" => efficientnet::b0(name, input, classes, scale),
            "efficientnet_b2" => efficientnet::b2(name, input, classes, scale),
            "imagenet_resnet18" => imagenet(false, StemPool::Max),
            "imagenet_resnet18_avgpool" => imagenet(false, StemPool::Average),
            "imagenet_resnet50" => imagenet(true, StemPool::Max),
            "imagenet_resnet50_avgpool" => imagenet(true, StemPool::Average),
            _ => {
                return Err(ModelError::Unknown {
                    name: self.name.clone(),
                });
            }
        };
        network.map_err(|source| ModelError::Shape {
            name: self.name.clone(),
            height: self.input.0,
            width: self.input.1,
            source,
        })
    }
}

/// Appends a convolution without bias that keeps the size of the image but for its stride.
fn conv(
    network: &mut Network,
    name: impl Into<String>,
    input: NodeId,
    out_channels: usize,
    kernel: usize,
    stride: usize,
) -> Result<NodeId, ShapeError> {
    let op = Op::Conv2d {
        out_channels,
        kernel,
        stride,
        padding: kernel / 2,
        groups: 1,
    };
    network.push(name, op, &[input])
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
        assert!(message.contains("resnet19") && message.contains("resnet18"));
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
