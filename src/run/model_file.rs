//! A model within a checkpoint: tensors under PyTorch's names, and what it takes to rebuild the
//! network around them.

use super::checkpoint::{Checkpoint, CheckpointError, Unpack};
use crate::graph::layout::Site;
use crate::graph::{Activations, Layout, Model, Nonlinearity, Tensors};
use crate::models::{ModelError, ModelSpec};
use crate::tensor_file::{Tensor, TensorData};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::Path;

/// What the activation sites of a saved model do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sites {
    /// The network's own nonlinearity everywhere.
    Relu,
    /// ReLU or polynomial by the mask.
    Gate,
    /// Both, blended by slopes, which the scores are: a search by slopes that is under way.
    Slopes,
}

impl Sites {
    /// What evaluation makes of the sites.
    pub fn evaluated(self) -> Activations {
        match self {
            Sites::Relu => Activations::Relu,
            Sites::Gate | Sites::Slopes => Activations::Gate {
                fit: None,
                degree: 0,
                slopes: self == Sites::Slopes,
            },
        }
    }
}

/// Why a model cannot be rebuilt from a checkpoint.
#[derive(Debug, thiserror::Error)]
pub enum ModelFileError {
    /// The file itself.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// Metadata that no model has.
    #[error("{file}: {reason}; the file is damaged or was not written by autorep")]
    Metadata {
        /// The file.
        file: String,
        /// What is wrong.
        reason: String,
    },
    /// The model it names.
    #[error(transparent)]
    Model(#[from] ModelError),
}

/// The tensors and metadata of `model`.
pub fn pack(
    model: &Model,
    spec: &ModelSpec,
    sites: Sites,
) -> (Vec<(String, Tensor)>, BTreeMap<String, String>) {
    let (layout, values) = (&model.layout, &model.tensors);
    let mut tensors = Vec::new();
    for (arena, data) in [
        (&layout.params, &values.params),
        (&layout.state, &values.state),
    ] {
        for slot in &arena.slots {
            let tensor = Tensor::f32(slot.shape.clone(), data[slot.range()].to_vec());
            tensors.push((slot.name.clone(), tensor));
        }
    }
    for site in &layout.sites {
        let shape = vec![site.shape.channels, site.shape.height, site.shape.width];
        let mask = values.mask[site.range()]
            .iter()
            .map(|&m| u8::from(m != 0.0))
            .collect();
        let aux = values.scores[site.range()].to_vec();
        tensors.push((
            format!("{}.mask", site.name),
            Tensor::u8(shape.clone(), mask),
        ));
        tensors.push((format!("{}.aux", site.name), Tensor::f32(shape, aux)));
    }
    let list = |values: [f32; 3]| values.map(|v| v.to_string()).join(",");
    let sites = match sites {
        Sites::Relu => "relu",
        Sites::Gate => "gate",
        Sites::Slopes => "slopes",
    };
    let metadata = [
        ("model", spec.name.clone()),
        ("width", spec.width.to_string()),
        ("height", spec.input.0.to_string()),
        ("image_width", spec.input.1.to_string()),
        ("mean", list(model.mean)),
        ("std", list(model.std)),
        ("classes", json!(model.classes).to_string()),
        ("sites", sites.to_owned()),
    ];
    (tensors, metadata.map(|(k, v)| (k.to_owned(), v)).into())
}

/// Class names as a checkpoint has them: as JSON, since a name may hold anything, or one a line in
/// files from before that.
fn class_names(text: &str) -> Vec<String> {
    serde_json::from_str(text).unwrap_or_else(|_| text.split('\n').map(str::to_owned).collect())
}

/// A checkpoint taken apart.
pub struct Unpacked {
    /// The network and its tensors.
    pub model: Model,
    /// How the network was built.
    pub spec: ModelSpec,
    /// What its activation sites do.
    pub sites: Sites,
    /// Tensors that belong to the training, not to the model.
    pub rest: Unpack,
}

/// Whether files from before a tensor was measured lack it.
fn may_lack(name: &str) -> bool {
    name.ends_with(".kurtosis")
}

/// Whether each element keeps its ReLU, site by site, in the checkpoint of a network whose masks are
/// fixed. Nothing else of it is read.
///
/// # Errors
/// [`CheckpointError`] where the file cannot be read or is damaged.
pub fn kept(path: &Path) -> Result<Vec<bool>, CheckpointError> {
    let masks = Checkpoint::load_some(path, |name| name.ends_with(".mask"))?.tensors;
    let kept = masks.into_iter().flat_map(|(_, tensor)| match tensor.data {
        TensorData::U8(mask) => mask,
        _ => Vec::new(),
    });
    Ok(kept.map(|mask| mask != 0).collect())
}

/// Rebuilds the model of a checkpoint.
///
/// # Errors
/// [`ModelFileError`] where the file is of no network that can be built.
pub fn unpack(checkpoint: Checkpoint) -> Result<Unpacked, ModelFileError> {
    let file = checkpoint.origin().display().to_string();
    let wrong = |reason: &str| ModelFileError::Metadata {
        file: file.clone(),
        reason: reason.to_owned(),
    };
    let triple = |key: &str| -> Result<[f32; 3], ModelFileError> {
        let text: String = checkpoint.entry(key)?;
        let values: Vec<f32> = text.split(',').filter_map(|v| v.parse().ok()).collect();
        let values: [f32; 3] = values
            .try_into()
            .map_err(|_| wrong(&format!("`{key}` is `{text}`, not three numbers")))?;
        if values.iter().all(|v| v.is_finite()) {
            Ok(values)
        } else {
            Err(wrong(&format!("`{key}` is not finite")))
        }
    };
    let (mean, std) = (triple("mean")?, triple("std")?);
    if std.iter().any(|&s| s <= 0.0) {
        return Err(wrong("`std` is not positive"));
    }
    let classes: String = checkpoint.entry("classes")?;
    let classes = class_names(&classes);
    let sites: String = checkpoint.entry("sites")?;
    let sites = match sites.as_str() {
        "relu" => Sites::Relu,
        "gate" => Sites::Gate,
        "slopes" => Sites::Slopes,
        other => return Err(wrong(&format!("`sites` is `{other}`"))),
    };
    let spec = ModelSpec {
        name: checkpoint.entry("model")?,
        width: checkpoint.entry("width")?,
        input: (
            checkpoint.entry("height")?,
            checkpoint.entry("image_width")?,
        ),
        classes: classes.len(),
    };
    if spec.input.0.max(spec.input.1) > 4096 {
        return Err(wrong("images are larger than 4096 pixels"));
    }
    let mut network = spec.build()?;
    if sites != Sites::Relu {
        // Whatever its teacher computed: what a search keeps are ReLUs.
        network.nonlinearity = Nonlinearity::Relu;
    }
    let layout = Layout::new(&network);
    let mut unpack = checkpoint.unpack(&spec.name);
    // Before anything of this size is allocated: sizes that the metadata claim may be anything.
    for slot in layout.params.slots.iter().chain(&layout.state.slots) {
        if !may_lack(&slot.name) || unpack.has(&slot.name) {
            unpack.check(&slot.name, &slot.shape)?;
        }
    }
    let shape_of = |site: &Site| [site.shape.channels, site.shape.height, site.shape.width];
    for site in &layout.sites {
        unpack.check(&format!("{}.mask", site.name), &shape_of(site))?;
        unpack.check(&format!("{}.aux", site.name), &shape_of(site))?;
    }
    let mut tensors = Tensors::neutral(&layout);
    for (arena, data) in [
        (&layout.params, &mut tensors.params),
        (&layout.state, &mut tensors.state),
    ] {
        for slot in &arena.slots {
            if may_lack(&slot.name) && !unpack.has(&slot.name) {
                continue;
            }
            let values = unpack.f32(&slot.name, &slot.shape)?;
            data[slot.range()].copy_from_slice(&values);
        }
    }
    for site in &layout.sites {
        let shape = shape_of(site);
        let mask = unpack.u8(&format!("{}.mask", site.name), &shape)?;
        if mask.iter().any(|&m| m > 1) {
            return Err(wrong(&format!(
                "the mask of `{}` is neither 0 nor 1",
                site.name
            )));
        }
        for (to, from) in tensors.mask[site.range()].iter_mut().zip(mask) {
            *to = f32::from(from);
        }
        let aux = unpack.f32(&format!("{}.aux", site.name), &shape)?;
        tensors.scores[site.range()].copy_from_slice(&aux);
        if sites == Sites::Slopes {
            tensors.mask[site.range()].copy_from_slice(&aux);
        }
    }
    let model = Model {
        network,
        layout,
        tensors,
        mean,
        std,
        classes,
    };
    Ok(Unpacked {
        model,
        spec,
        sites,
        rest: unpack,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Half a terabyte of masks, claimed by a file of some kilobytes.
    #[test]
    fn sizes_that_the_metadata_claim_are_compared_before_memory_is_taken() {
        let spec = ModelSpec {
            name: "resnet8".into(),
            width: 0.25,
            input: (8, 8),
            classes: 3,
        };
        let network = spec.build().unwrap();
        let layout = Layout::new(&network);
        let model = Model {
            tensors: Tensors::initial(&layout, 1),
            network,
            layout,
            mean: [0.0; 3],
            std: [1.0; 3],
            classes: ["a", "b", "c"].map(String::from).to_vec(),
        };
        let (tensors, metadata) = pack(&model, &spec, Sites::Relu);
        assert!(unpack(Checkpoint::new(tensors.clone(), metadata.clone())).is_ok());
        for claims in [
            &[("width", "16")][..],
            &[("height", "4096"), ("image_width", "4096")],
            &[("width", "16"), ("height", "4096"), ("image_width", "4096")],
        ] {
            let mut metadata = metadata.clone();
            for (key, value) in claims {
                metadata.insert((*key).to_owned(), (*value).to_owned());
            }
            let error = unpack(Checkpoint::new(tensors.clone(), metadata))
                .err()
                .unwrap();
            assert!(error.to_string().contains("another model"), "{error}");
        }
    }
}
