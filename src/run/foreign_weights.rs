//! Weights trained elsewhere: a `state_dict` of torchvision, timm or their like, put into a
//! network of ours.
//!
//! Layers here bear torchvision's names already. What remains is what others call the same
//! layer, which `torchvision_name` knows, and the wrappers that training scripts leave.

use super::checkpoint::Checkpoint;
use crate::graph::{Layout, Tensors};
use crate::models::{ModelError, ModelSpec};
use crate::tensor_file::TensorData;
use std::collections::BTreeMap;

/// What became of a file's tensors.
#[derive(Debug, Clone, PartialEq)]
pub struct Imported {
    /// The network's tensors: those of the file, the initial ones where it has none.
    pub tensors: Tensors,
    /// How many of the network's tensors the file has.
    pub used: usize,
    /// Names of the network's tensors that the file lacks.
    pub missing: Vec<String>,
    /// Names in the file that mean nothing to the network.
    pub unused: Vec<String>,
}

/// Why a file cannot be imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The architecture.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// No tensor says how many classes there are.
    #[error(
        "{file} has no `{wanted}`, the weights of the classifier of {model}: it holds the weights \
         of another network{}", examples(.found)
    )]
    NoClassifier {
        /// The file.
        file: String,
        /// The model to fill.
        model: String,
        /// The tensor looked for.
        wanted: String,
        /// Names that the file has.
        found: Vec<String>,
    },
    /// A tensor of another shape.
    #[error(
        "{file}: `{tensor}` has the shape {found:?}, {model} wants {wanted:?}: it holds the \
         weights of another network, or of one of another width"
    )]
    Shape {
        /// The file.
        file: String,
        /// The tensor, as the file calls it.
        tensor: String,
        /// Its shape.
        found: Vec<usize>,
        /// The shape it should have.
        wanted: Vec<usize>,
        /// The model to fill.
        model: String,
    },
    /// A tensor that is no f32.
    #[error("{file}: `{tensor}` is not of type F32; convert it before saving")]
    Type {
        /// The file.
        file: String,
        /// The tensor, as the file calls it.
        tensor: String,
    },
    /// A weight that is infinite or not a number.
    #[error("{file}: `{tensor}` holds {value} at element {index}: no network can use it")]
    NonFinite {
        /// The file.
        file: String,
        /// The tensor, as the file calls it.
        tensor: String,
        /// The first bad element.
        index: usize,
        /// What it holds.
        value: f32,
    },
    /// Two tensors for one place.
    #[error("{file}: `{first}` and `{second}` are both the `{name}` of the network")]
    Twice {
        /// The file.
        file: String,
        /// One of them.
        first: String,
        /// The other.
        second: String,
        /// What both would be.
        name: String,
    },
}

fn examples(names: &[String]) -> String {
    let first: Vec<String> = names
        .iter()
        .take(3)
        .map(|name| format!("`{name}`"))
        .collect();
    match first.is_empty() {
        true => String::new(),
        false => format!(" (it has {}, …)", first.join(", ")),
    }
}

/// Fills a network with the tensors of `file`. `spec` says which, but for the number of
/// classes, which the file's classifier says; the returned one has it.
///
/// Every tensor that both know must fit; whether it is an error that some are missing is for
/// the caller to say. The counters `num_batches_tracked` are ignored.
///
/// # Errors
/// [`ImportError`] where tensors are missing, left over, or of another shape.
pub fn import(
    file: Checkpoint,
    mut spec: ModelSpec,
    seed: u32,
) -> Result<(ModelSpec, Imported), ImportError> {
    let origin = file.origin().display().to_string();
    let mut found = BTreeMap::new();
    for (name, tensor) in file.tensors {
        let known_as = torchvision_name(&spec.name, &name);
        if known_as.ends_with("num_batches_tracked") {
            continue;
        }
        if let Some((first, _)) = found.insert(known_as.clone(), (name.clone(), tensor)) {
            return Err(ImportError::Twice {
                file: origin,
                first,
                second: name,
                name: known_as,
            });
        }
    }
    // Any number of classes will do to learn what the classifier is called.
    let classifier = spec.build()?.nodes.pop().map(|node| node.name);
    let wanted = format!("{}.weight", classifier.unwrap_or_default());
    let rows = found.get(&wanted).and_then(|(_, t)| t.shape.first());
    spec.classes = match rows {
        Some(&rows) if rows > 0 => rows,
        _ => {
            return Err(ImportError::NoClassifier {
                file: origin,
                model: spec.name,
                wanted,
                found: found.into_values().map(|(name, _)| name).collect(),
            });
        }
    };

    let layout = Layout::new(&spec.build()?);
    let mut tensors = Tensors::initial(&layout, seed);
    let (mut used, mut missing) = (0, Vec::new());
    for (arena, values) in [
        (&layout.params, &mut tensors.params),
        (&layout.state, &mut tensors.state),
    ] {
        for slot in &arena.slots {
            let own = |suffix: &str| slot.name.ends_with(suffix);
            if own(".coefficients") || own(".moments") || own(".kurtosis") {
                // The search's, which no other program has.
                continue;
            }
            let Some((name, tensor)) = found.remove(&slot.name) else {
                missing.push(slot.name.clone());
                continue;
            };
            if tensor.shape != slot.shape {
                return Err(ImportError::Shape {
                    file: origin,
                    tensor: name,
                    found: tensor.shape,
                    wanted: slot.shape.clone(),
                    model: spec.name,
                });
            }
            let TensorData::F32(data) = tensor.data else {
                return Err(ImportError::Type {
                    file: origin,
                    tensor: name,
                });
            };
            if let Some(index) = data.iter().position(|v| !v.is_finite()) {
                return Err(ImportError::NonFinite {
                    file: origin,
                    tensor: name,
                    index,
                    value: data[index],
                });
            }
            values[slot.range()].copy_from_slice(&data);
            used += 1;
        }
    }
    let imported = Imported {
        tensors,
        used,
        missing,
        unused: found.into_values().map(|(name, _)| name).collect(),
    };
    Ok((spec, imported))
}

/// What torchvision would call the tensor `name` of a network like `model`.
fn torchvision_name(model: &str, name: &str) -> String {
    let mut name = name;
    // DataParallel, Lightning and torch.compile wrap a network under a name of their own.
    for wrapper in ["module.", "model.", "_orig_mod.", "net."] {
        name = name.strip_prefix(wrapper).unwrap_or(name);
    }
    if model.starts_with("efficientnet") {
        return timm_efficientnet(name).unwrap_or_else(|| name.to_owned());
    }
    let name = match name.strip_prefix("linear.") {
        Some(rest) => format!("fc.{rest}"),
        None => name.to_owned(),
    };
    if !model.starts_with("wide_resnet") {
        return name.replace(".shortcut.", ".downsample.");
    }
    // The usual PyTorch ports: `block1.layer.0.convShortcut`, `layer1.0.shortcut.0`.
    let name = match name.strip_prefix("block") {
        Some(rest) => format!("layer{}", rest.replacen(".layer.", ".", 1)),
        None => name,
    };
    [".convShortcut.", ".shortcut.0.", ".downsample.0."]
        .into_iter()
        .fold(name, |name, theirs| name.replace(theirs, ".shortcut."))
}

/// timm's `blocks.2.0.conv_dw.weight` is torchvision's `features.3.0.block.1.0.weight`; `None`
/// for a name that is not timm's.
fn timm_efficientnet(name: &str) -> Option<String> {
    for (theirs, ours) in [
        ("conv_stem.", "features.0.0."),
        ("bn1.", "features.0.1."),
        ("conv_head.", "features.8.0."),
        ("bn2.", "features.8.1."),
        ("classifier.", "classifier.1."),
    ] {
        if let Some(rest) = name.strip_prefix(theirs)
            && !rest.contains('.')
        {
            return Some(format!("{ours}{rest}"));
        }
    }
    let mut parts = name.strip_prefix("blocks.")?.splitn(3, '.');
    let stage: usize = parts.next()?.parse().ok()?;
    let (block, layer) = (parts.next()?, parts.next()?);
    let (layer, kind) = layer.rsplit_once('.')?;
    // The first stage does not expand: its blocks begin with the depthwise convolution.
    let place = match (stage, layer) {
        (0, "conv_dw") => "0.0",
        (0, "bn1") => "0.1",
        (0, "se.conv_reduce") => "1.fc1",
        (0, "se.conv_expand") => "1.fc2",
        (0, "conv_pw") => "2.0",
        (0, "bn2") => "2.1",
        (1.., "conv_pw") => "0.0",
        (1.., "bn1") => "0.1",
        (1.., "conv_dw") => "1.0",
        (1.., "bn2") => "1.1",
        (1.., "se.conv_reduce") => "2.fc1",
        (1.., "se.conv_expand") => "2.fc2",
        (1.., "conv_pwl") => "3.0",
        (1.., "bn3") => "3.1",
        _ => return None,
    };
    Some(format!(
        "features.{}.{block}.block.{place}.{kind}",
        stage + 1
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor_file::Tensor;

    fn spec(name: &str) -> ModelSpec {
        ModelSpec {
            name: name.into(),
            width: 0.25,
            input: (32, 32),
            classes: 10,
        }
    }

    /// A file with every tensor of the network of 7 classes, each holding its own number, under
    /// the name that `rename` gives it.
    fn file(spec: &ModelSpec, rename: impl Fn(&str) -> String) -> Checkpoint {
        let spec = ModelSpec {
            classes: 7,
            ..spec.clone()
        };
        let layout = Layout::new(&spec.build().unwrap());
        let slots = layout.params.slots.iter().chain(&layout.state.slots);
        let slots = slots.filter(|s| !s.name.contains(".act"));
        let tensor = |(i, slot): (usize, &crate::graph::layout::Slot)| {
            let values = vec![i as f32; slot.len()];
            (rename(&slot.name), Tensor::f32(slot.shape.clone(), values))
        };
        Checkpoint::new(slots.enumerate().map(tensor).collect(), BTreeMap::new())
    }

    #[test]
    fn other_programs_names_are_known() {
        for (model, theirs, ours) in [
            ("resnet18", "module.linear.bias", "fc.bias"),
            (
                "resnet18",
                "layer2.0.shortcut.1.running_mean",
                "layer2.0.downsample.1.running_mean",
            ),
            (
                "imagenet_resnet50",
                "layer1.0.conv3.weight",
                "layer1.0.conv3.weight",
            ),
            (
                "wide_resnet_22_8",
                "block2.layer.0.convShortcut.weight",
                "layer2.0.shortcut.weight",
            ),
            (
                "wide_resnet_22_8",
                "_orig_mod.layer3.0.shortcut.0.weight",
                "layer3.0.shortcut.weight",
            ),
            (
                "efficientnet_b2",
                "blocks.0.1.se.conv_reduce.bias",
                "features.1.1.block.1.fc1.bias",
            ),
            (
                "efficientnet_b2",
                "blocks.5.3.conv_pwl.weight",
                "features.6.3.block.3.0.weight",
            ),
            (
                "efficientnet_b2",
                "bn2.running_var",
                "features.8.1.running_var",
            ),
            (
                "efficientnet_b2",
                "classifier.weight",
                "classifier.1.weight",
            ),
            ("efficientnet_b2", "classifier.1.bias", "classifier.1.bias"),
            (
                "efficientnet_b2",
                "features.1.0.block.0.1.bias",
                "features.1.0.block.0.1.bias",
            ),
        ] {
            assert_eq!(torchvision_name(model, theirs), ours);
        }
    }

    #[test]
    fn every_tensor_finds_its_place() {
        let spec = spec("wide_resnet_22_8");
        let theirs = |name: &str| match name.strip_prefix("layer") {
            Some(rest) => format!(
                "module.block{}",
                rest.replacen('.', ".layer.", 1)
                    .replace("shortcut", "convShortcut")
            ),
            None => format!("module.{name}"),
        };
        let mut file = file(&spec, theirs);
        let count = file.tensors.len();
        let counter = (
            "module.bn1.num_batches_tracked".to_owned(),
            Tensor::u32([], vec![9]),
        );
        file.tensors.push(counter);
        let (filled, imported) = import(file, spec, 0).unwrap();
        assert_eq!(filled.classes, 7);
        assert_eq!((imported.used, imported.missing.len()), (count, 0));
        assert_eq!(imported.unused, [""; 0]);
        let layout = Layout::new(&filled.build().unwrap());
        let named = |name: &str| layout.params.slots.iter().find(|s| s.name == name).unwrap();
        let value = |name: &str| imported.tensors.param(named(name))[0];
        // Numbers rise with the order of the layers.
        assert!(value("conv1.weight") < value("layer1.0.shortcut.weight"));
        assert!(value("layer3.0.shortcut.weight") < value("fc.bias"));
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let same = |name: &str| name.to_owned();
        let spec = spec("resnet8");
        let mut incomplete = file(&spec, same);
        incomplete.tensors.retain(|(name, _)| name != "bn1.weight");
        let extra = ("head.weight".to_owned(), Tensor::f32([1], vec![0.0]));
        incomplete.tensors.push(extra);
        let (_, imported) = import(incomplete, spec.clone(), 0).unwrap();
        assert_eq!(imported.missing, ["bn1.weight"]);
        assert_eq!(imported.unused, ["head.weight"]);

        let fails = |change: &dyn Fn(&mut Checkpoint)| {
            let mut file = file(&spec, same);
            change(&mut file);
            import(file, spec.clone(), 0).unwrap_err().to_string()
        };
        let message = fails(&|f| f.tensors[0].1 = Tensor::f32([2, 1], vec![0.0; 2]));
        assert!(
            message.contains("`conv1.weight` has the shape [2, 1]"),
            "{message}"
        );
        let message = fails(&|f| {
            f.tensors.retain(|(name, _)| !name.starts_with("fc."));
        });
        assert!(message.contains("no `fc.weight`"), "{message}");
        let message = fails(&|f| {
            let mut tensor = f.tensors[0].1.clone();
            if let TensorData::F32(values) = &mut tensor.data {
                values[3] = f32::NAN;
            }
            f.tensors[0].1 = tensor;
        });
        assert!(message.contains("NaN at element 3"), "{message}");
        let message = fails(&|f| {
            let again = ("module.conv1.weight".to_owned(), f.tensors[0].1.clone());
            f.tensors.push(again);
        });
        assert!(message.contains("both"), "{message}");
    }
}
