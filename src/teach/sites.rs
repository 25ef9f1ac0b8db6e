//! What a search has made of each activation site, by its last checkpoint: which elements keep their ReLU, and
//! which polynomial the others have, over what they are given.

use crate::run::checkpoint::Checkpoint;
use crate::run::mark::Phase;
use crate::run::store::CheckpointStore;
use crate::tensor_file::{Tensor, TensorData};
use serde::Serialize;
use std::path::Path;

/// All sites at a checkpoint.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Sites {
    /// The checkpoint's mark; none where masks have not begun.
    pub mark: Option<String>,
    /// The sites in the order of the network; none where the mark is the one that is known already.
    pub sites: Vec<Site>,
}

/// One site.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Site {
    /// Its name, as `kept/NAME` of the log has it.
    pub name: String,
    /// Channels, height and width.
    pub shape: Vec<usize>,
    /// `1` for each element that keeps its ReLU, else `0`.
    pub mask: String,
    /// Of each channel the mean and the variance of what comes in.
    pub moments: Vec<[f32; 2]>,
    /// Of each channel the coefficients of 1, x and x².
    pub coefficients: Vec<[f32; 3]>,
}

impl Sites {
    /// Reads the newest checkpoint of a run's folder of checkpoints, unless that is `known`. A file that is gone
    /// again before it is read, as older ones are, leaves what is known as it is.
    pub fn read(checkpoints: &Path, known: &str) -> Self {
        let store = CheckpointStore::new(checkpoints);
        let marks = store.marks().unwrap_or_default();
        // A teacher has masks, too, of which all are 1.
        let Some(mark) = marks.last().filter(|mark| mark.phase != Phase::Teacher) else {
            return Self::default();
        };
        let name = mark.to_string();
        let wanted = |tensor: &str| {
            [MASK, MOMENTS, COEFFICIENTS]
                .iter()
                .any(|ending| tensor.ends_with(ending))
        };
        let sites = match name == known {
            true => None,
            false => Checkpoint::load_some(&store.path(mark), wanted).ok(),
        };
        let Some(checkpoint) = sites else {
            return Self {
                mark: Some(known.to_owned()),
                sites: Vec::new(),
            };
        };
        let tensors = &checkpoint.tensors;
        let of = |name: &str, ending: &str| {
            let name = format!("{name}{ending}");
            tensors.iter().find(|(n, _)| *n == name).map(|(_, t)| t)
        };
        let site = |(name, tensor): &(String, Tensor)| {
            let name = name.strip_suffix(MASK)?;
            let TensorData::U8(mask) = &tensor.data else {
                return None;
            };
            Some(Site {
                name: name.to_owned(),
                shape: tensor.shape.clone(),
                mask: mask
                    .iter()
                    .map(|&m| if m == 0 { '0' } else { '1' })
                    .collect(),
                moments: rows::<2>(of(name, MOMENTS)?, 2),
                coefficients: rows::<3>(of(name, COEFFICIENTS)?, 4),
            })
        };
        Self {
            mark: Some(name),
            sites: tensors.iter().filter_map(site).collect(),
        }
    }
}

const MASK: &str = ".mask";
const MOMENTS: &str = ".moments";
const COEFFICIENTS: &str = ".coefficients";

/// The first `N` numbers of each row.
fn rows<const N: usize>(tensor: &Tensor, width: usize) -> Vec<[f32; N]> {
    let TensorData::F32(values) = &tensor.data else {
        return Vec::new();
    };
    let rows = values.chunks_exact(width);
    rows.map(|row| std::array::from_fn(|k| row[k])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::mark::Mark;
    use std::collections::BTreeMap;

    #[test]
    fn the_newest_checkpoint_of_a_search_is_read_once() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Sites::read(folder.path(), ""), Sites::default());
        let store = CheckpointStore::new(folder.path());
        let checkpoint = |mask: Vec<u8>| {
            let tensors = [
                ("a.mask", Tensor::u8([1, 1, 4], mask)),
                ("a.aux", Tensor::f32([1, 1, 4], vec![0.5; 4])),
                ("a.moments", Tensor::f32([1, 2], vec![0.25, 2.0])),
                (
                    "a.coefficients",
                    Tensor::f32([1, 4], vec![1.0, 2.0, 3.0, 1.0]),
                ),
            ];
            let tensors = tensors.map(|(name, tensor)| (name.to_owned(), tensor));
            Checkpoint::new(tensors.into(), BTreeMap::new())
        };
        let save = |phase, step, mask| {
            store
                .save(Mark::new(phase, step), &checkpoint(mask))
                .unwrap();
        };
        save(Phase::Teacher, 4, vec![1; 4]);
        assert_eq!(Sites::read(folder.path(), ""), Sites::default());
        save(Phase::Search, 8, vec![1, 0, 0, 1]);
        let read = Sites::read(folder.path(), "");
        assert_eq!(read.mark.as_deref(), Some("search-00000008"));
        assert_eq!(
            read.sites,
            [Site {
                name: "a".to_owned(),
                shape: vec![1, 1, 4],
                mask: "1001".to_owned(),
                moments: vec![[0.25, 2.0]],
                coefficients: vec![[1.0, 2.0, 3.0]],
            }]
        );
        let again = Sites::read(folder.path(), "search-00000008");
        assert_eq!((again.mark, again.sites.len()), (read.mark, 0));
        save(Phase::Search, 9, vec![0; 4]);
        let later = Sites::read(folder.path(), "search-00000008");
        assert_eq!(later.sites[0].mask, "0000");
    }
}
