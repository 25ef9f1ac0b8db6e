//! Weights trained elsewhere: a `state_dict` of torchvision, timm or their like, put into a
//! network of ours.
//!
//! Layers here bear torchvision's names already. What remains is what others call the same
//! layer, which `torchvision_name` knows, and the wrappers that training scripts leave: whatever
//! stands before the names so that without it they fit.

use super::checkpoint::Checkpoint;
use crate::graph::layout::Slot;
use crate::graph::{Layout, Tensors};
use crate::models::{ModelError, ModelSpec};
use crate::tensor_file::{Tensor, TensorData};
use std::collections::{BTreeMap, BTreeSet};

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
    /// A tensor of whole numbers.
    #[error(
        "{file}: `{tensor}` is of type {found}, not of F32, F16, BF16 or F64; convert it before saving"
    )]
    Type {
        /// The file.
        file: String,
        /// The tensor, as the file calls it.
        tensor: String,
        /// Its type.
        found: String,
    },
    /// One precision among others, in a file that is known to be incomplete.
    #[error(
        "{file}: `{tensor}` is of type {found}, others are not: a file that is only part of a network \
         (--partial) should be of one type; convert it before saving"
    )]
    Mixed {
        /// The file.
        file: String,
        /// The tensor, as the file calls it.
        tensor: String,
        /// Its type.
        found: String,
    },
    /// A variance below zero.
    #[error("{file}: `{tensor}` holds {value} at element {index}: there is no such variance")]
    Variance {
        /// The file.
        file: String,
        /// The tensor, as the file calls it.
        tensor: String,
        /// The first bad element.
        index: usize,
        /// What it holds.
        value: f32,
    },
    /// More than one set of weights.
    #[error(
        "{file} holds several networks that would fit, below `{first}` and `{second}`: say which with \
         --prefix"
    )]
    Ambiguous {
        /// The file.
        file: String,
        /// What stands before one's names.
        first: String,
        /// And before another's.
        second: String,
    },
    /// Tensors of the network's own layers that the network does not have.
    #[error(
        "{file} has {count} tensors that {model} lacks within its own layers, the first of them \
         `{first}`: it computes something else; choose the --model it was saved from, or drop them with \
         --drop-unused"
    )]
    Beyond {
        /// The file.
        file: String,
        /// The model to fill.
        model: String,
        /// How many.
        count: usize,
        /// One of them.
        first: String,
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

/// What of a file may be passed over, and which of its networks is meant.
#[derive(Debug, Clone, Default)]
pub struct ImportOptions {
    /// What stands before the names of the network's tensors; found where it is `None`.
    pub prefix: Option<String>,
    /// Passes over tensors within the network's own layers that the network does not have, as a
    /// squeeze-excite in a plain ResNet.
    pub drop_unused: bool,
    /// Whether tensors may be missing. Then the file is not taken at its word: all that it has must be
    /// of one type.
    pub partial: bool,
    /// Seed of the tensors that the file lacks.
    pub seed: u32,
}

/// Fills a network with the tensors of `file`. `spec` says which, but for the number of
/// classes, which the file's classifier says; the returned one has it.
///
/// Every tensor that both know must fit; whether it is an error that some are missing is for
/// the caller to say. The counters `num_batches_tracked` are ignored.
///
/// # Errors
/// [`ImportError`] where tensors are of another shape or type, hold what no network can use, or
/// belong to another network.
pub fn import(
    file: Checkpoint,
    mut spec: ModelSpec,
    options: &ImportOptions,
) -> Result<(ModelSpec, Imported), ImportError> {
    let origin = file.origin().display().to_string();
    if options.partial {
        of_one_type(&file)?;
    }
    let is_counter = |name: &str| name.ends_with("num_batches_tracked");
    let names: Vec<&str> = file.tensors.iter().map(|(name, _)| name.as_str()).collect();
    let prefix = match &options.prefix {
        Some(prefix) => prefix.clone(),
        None => prefix(&names, &spec, &origin)?,
    };
    let known_as =
        |name: &str| torchvision_name(&spec.name, name.strip_prefix(&prefix).unwrap_or(name));
    let other_types = file.left_out.iter().filter(|(name, _)| !is_counter(name));
    let mut other_types: BTreeMap<String, (String, String)> = other_types
        .map(|(name, found)| (known_as(name), (name.clone(), found.clone())))
        .collect();
    let mut found = BTreeMap::new();
    for (name, tensor) in file.tensors {
        let known_as = known_as(&name);
        if is_counter(&known_as) {
            continue;
        }
        // Of several networks one is meant.
        if options.prefix.is_some() && !name.starts_with(&prefix) {
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
    let mut tensors = Tensors::initial(&layout, options.seed);
    let (mut used, mut missing) = (0, Vec::new());
    for (arena, values) in [
        (&layout.params, &mut tensors.params),
        (&layout.state, &mut tensors.state),
    ] {
        for slot in &arena.slots {
            if is_of_a_search(&slot.name) {
                continue;
            }
            if let Some((tensor, found)) = other_types.remove(&slot.name) {
                return Err(ImportError::Type {
                    file: origin,
                    tensor,
                    found,
                });
            }
            let Some((name, tensor)) = found.remove(&slot.name) else {
                missing.push(slot.name.clone());
                continue;
            };
            let data = fitting(&origin, &spec.name, slot, name, tensor)?;
            values[slot.range()].copy_from_slice(&data);
            used += 1;
        }
    }
    let names = found
        .iter()
        .map(|(known_as, (name, _))| (known_as.as_str(), name.as_str()));
    if let (Some((count, first)), false) = (beyond(&layout, names), options.drop_unused) {
        return Err(ImportError::Beyond {
            file: origin,
            model: spec.name,
            count,
            first: first.to_owned(),
        });
    }
    let others = other_types.into_values().map(|(name, _)| name);
    let imported = Imported {
        tensors,
        used,
        missing,
        unused: { found.into_values().map(|(name, _)| name) }
            .chain(others)
            .collect(),
    };
    Ok((spec, imported))
}

/// Refuses a file in which some tensors are of another precision than others.
fn of_one_type(file: &Checkpoint) -> Result<(), ImportError> {
    let Some((tensor, found)) = file.converted.first() else {
        return Ok(());
    };
    let differs = |(_, other): &(String, String)| other != found;
    if file.converted.len() == file.tensors.len() && !file.converted.iter().any(differs) {
        return Ok(());
    }
    Err(ImportError::Mixed {
        file: file.origin().display().to_string(),
        tensor: tensor.clone(),
        found: found.clone(),
    })
}

/// The values of `tensor`, which the file calls `name`, for the place of `slot`.
fn fitting(
    file: &str,
    model: &str,
    slot: &Slot,
    name: String,
    tensor: Tensor,
) -> Result<Vec<f32>, ImportError> {
    let file = file.to_owned();
    if tensor.shape != slot.shape {
        return Err(ImportError::Shape {
            file,
            tensor: name,
            found: tensor.shape,
            wanted: slot.shape.clone(),
            model: model.to_owned(),
        });
    }
    let data = match tensor.data {
        TensorData::F32(data) => data,
        other => {
            let found = other.dtype().to_string();
            let tensor = name;
            return Err(ImportError::Type {
                file,
                tensor,
                found,
            });
        }
    };
    if let Some(index) = data.iter().position(|v| !v.is_finite()) {
        return Err(ImportError::NonFinite {
            file,
            tensor: name,
            index,
            value: data[index],
        });
    }
    if slot.name.ends_with("running_var")
        && let Some(index) = data.iter().position(|v| *v < 0.0)
    {
        return Err(ImportError::Variance {
            file,
            tensor: name,
            index,
            value: data[index],
        });
    }
    Ok(data)
}

/// Of tensors that the network does not have, by what they would be called and what the file calls
/// them, how many lie within the network's own layers, and the first: they say that it is another
/// network.
fn beyond<'a>(
    layout: &Layout,
    names: impl Iterator<Item = (&'a str, &'a str)>,
) -> Option<(usize, &'a str)> {
    let first = |name: &'a str| name.split('.').next().unwrap_or(name);
    let slots = layout.params.slots.iter().chain(&layout.state.slots);
    let own = slots.map(|slot| slot.name.split('.').next().unwrap_or(&slot.name));
    let own: BTreeSet<&str> = own.collect();
    let within = |known_as: &&'a str| own.contains(first(known_as)) && !is_of_a_search(known_as);
    let mut beyond = names
        .filter(|(known_as, _)| within(known_as))
        .map(|(_, name)| name);
    let name = beyond.next()?;
    Some((1 + beyond.count(), name))
}

/// Whether a tensor is the search's, which no other program has, and no teacher needs.
fn is_of_a_search(name: &str) -> bool {
    const OURS: [&str; 5] = [".coefficients", ".moments", ".kurtosis", ".mask", ".aux"];
    OURS.iter().any(|ending| name.ends_with(ending))
}

/// What stands before the names of a network's tensors in a file: of all that stands before any of
/// its names that without which most are the network's.
fn prefix(names: &[&str], spec: &ModelSpec, file: &str) -> Result<String, ImportError> {
    let layout = Layout::new(&spec.build()?);
    let slots = layout.params.slots.iter().chain(&layout.state.slots);
    let known = slots.map(|slot| slot.name.as_str());
    let known: BTreeSet<&str> = known.filter(|name| !is_of_a_search(name)).collect();
    let mut prefixes: BTreeSet<&str> = BTreeSet::from([""]);
    for name in names {
        prefixes.extend(name.match_indices('.').map(|(at, _)| &name[..=at]));
    }
    let fits = |prefix: &str| {
        let rest = names.iter().filter_map(|name| name.strip_prefix(prefix));
        let fit = rest.filter(|rest| known.contains(torchvision_name(&spec.name, rest).as_str()));
        fit.count()
    };
    let mut best = ("", 0);
    let mut second = ("", 0);
    for prefix in prefixes {
        let found = (prefix, fits(prefix));
        if found.1 > best.1 {
            (best, second) = (found, best);
        } else if found.1 > second.1 {
            second = found;
        }
    }
    // A few names fit below a wrong one: a block has layers as the network has.
    if 2 * best.1 < known.len() {
        return Ok(String::new());
    }
    if second.1 == best.1 {
        return Err(ImportError::Ambiguous {
            file: file.to_owned(),
            first: best.0.to_owned(),
            second: second.0.to_owned(),
        });
    }
    Ok(best.0.to_owned())
}

/// What torchvision would call the tensor `name` of a network like `model`.
fn torchvision_name(model: &str, name: &str) -> String {
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
            ("resnet18", "linear.bias", "fc.bias"),
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
                "layer3.0.shortcut.0.weight",
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
        let (filled, imported) = import(file, spec, &ImportOptions::default()).unwrap();
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
    fn wrappers_are_found_whatever_they_are_called() {
        let spec = spec("resnet8");
        for wrapper in [
            "",
            "module.",
            "_orig_mod.module.",
            "state_dict.model.",
            "student.backbone.",
        ] {
            let mut wrapped = file(&spec, |name| format!("{wrapper}{name}"));
            let count = wrapped.tensors.len();
            let optimizer = ("optimizer.lr".to_owned(), Tensor::f32([1], vec![0.1]));
            wrapped.tensors.push(optimizer);
            let (_, imported) = import(wrapped, spec.clone(), &Default::default()).unwrap();
            assert_eq!(
                (imported.used, imported.missing.len()),
                (count, 0),
                "{wrapper}"
            );
            assert_eq!(imported.unused, ["optimizer.lr"], "{wrapper}");
        }
        // Two networks: one has to be named.
        let mut both = file(&spec, |name| format!("model.{name}"));
        both.tensors
            .extend(file(&spec, |name| format!("ema.{name}")).tensors);
        let error = import(both.clone(), spec.clone(), &Default::default()).unwrap_err();
        let error = error.to_string();
        assert!(
            error.contains("`ema.` and `model.`") && error.contains("--prefix"),
            "{error}"
        );
        let options = ImportOptions {
            prefix: Some("ema.".into()),
            ..Default::default()
        };
        let (_, imported) = import(both, spec, &options).unwrap();
        assert_eq!(imported.missing, [""; 0]);
    }

    #[test]
    fn what_would_be_another_network_is_refused_unless_asked_for() {
        let same = |name: &str| name.to_owned();
        let spec = spec("resnet8");
        let with = |name: &str| {
            let mut file = file(&spec, same);
            file.tensors
                .push((name.to_owned(), Tensor::f32([4], vec![3.0; 4])));
            file
        };
        for name in [
            "conv1.bias",
            "layer1.0.se.fc1.weight",
            "layer3.1.conv1.weight",
        ] {
            let error = import(with(name), spec.clone(), &Default::default()).unwrap_err();
            let error = error.to_string();
            assert!(
                error.contains(name) && error.contains("--drop-unused"),
                "{error}"
            );
            let options = ImportOptions {
                drop_unused: true,
                ..Default::default()
            };
            let (_, imported) = import(with(name), spec.clone(), &options).unwrap();
            assert_eq!(imported.unused, [name]);
        }
        // A head of something else is no part of the network.
        import(with("aux_head.weight"), spec.clone(), &Default::default()).unwrap();
        // A weight of whole numbers is none, whatever may be missing.
        let mut integers = file(&spec, same);
        integers.tensors.retain(|(name, _)| name != "conv1.weight");
        integers
            .left_out
            .push(("conv1.weight".into(), "I64".into()));
        let error = import(integers, spec.clone(), &Default::default()).unwrap_err();
        assert!(
            error.to_string().contains("`conv1.weight` is of type I64"),
            "{error}"
        );
        let mut negative = file(&spec, same);
        let variance = |(name, _): &&mut (String, Tensor)| name == "bn1.running_var";
        let (_, tensor) = negative.tensors.iter_mut().find(variance).unwrap();
        *tensor = Tensor::f32(tensor.shape.clone(), vec![-1e-6; tensor.data.len()]);
        let error = import(negative, spec.clone(), &Default::default()).unwrap_err();
        assert!(error.to_string().contains("no such variance"), "{error}");
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let same = |name: &str| name.to_owned();
        let spec = spec("resnet8");
        let mut incomplete = file(&spec, same);
        incomplete.tensors.retain(|(name, _)| name != "bn1.weight");
        let extra = ("head.weight".to_owned(), Tensor::f32([1], vec![0.0]));
        incomplete.tensors.push(extra);
        let (_, imported) = import(incomplete, spec.clone(), &ImportOptions::default()).unwrap();
        assert_eq!(imported.missing, ["bn1.weight"]);
        assert_eq!(imported.unused, ["head.weight"]);

        let fails = |change: &dyn Fn(&mut Checkpoint)| {
            let mut file = file(&spec, same);
            change(&mut file);
            import(file, spec.clone(), &ImportOptions::default())
                .unwrap_err()
                .to_string()
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
            let again = ("linear.bias".to_owned(), Tensor::f32([7], vec![0.0; 7]));
            f.tensors.push(again);
        });
        assert!(message.contains("both"), "{message}");
    }
}
