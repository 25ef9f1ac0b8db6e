//! A data set, however its images are held.

use super::images::Images;
use super::normalization::Normalization;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A data set: in memory, unless `S` says otherwise.
#[derive(Clone, Debug)]
pub struct Dataset<S = Images> {
    /// Short name: `builtin`, `cifar10`, `cifar100`, or the tree's folder name.
    pub name: String,
    /// Where it comes from.
    pub kind: Kind,
    /// Class names; a label is an index into this list.
    pub classes: Vec<String>,
    /// What networks are trained on; validation images are split off it.
    pub train: S,
    /// What the result is tested on, once.
    pub test: S,
    /// What the network's input is normalised with.
    pub normalization: Normalization,
    /// What is odd about the files but did not keep them from being used, one sentence each.
    pub problems: Vec<String>,
    /// What tells this data set from one of other images, or of the same under other labels: a checksum
    /// of files' names, sizes and labels, or of pixels where an image has no file of its own.
    pub digest: String,
}

impl<S> Dataset<S> {
    /// The same data set with its images held in another way.
    pub(super) fn map<T>(self, hold: impl Fn(S) -> T) -> Dataset<T> {
        Dataset {
            name: self.name,
            kind: self.kind,
            classes: self.classes,
            train: hold(self.train),
            test: hold(self.test),
            normalization: self.normalization,
            problems: self.problems,
            digest: self.digest,
        }
    }
}

/// Where a data set comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The program draws it.
    Builtin,
    /// CIFAR-10, binary version.
    Cifar10,
    /// CIFAR-100, binary version.
    Cifar100,
    /// Tiny-ImageNet-200.
    TinyImagenet,
    /// One folder for each class.
    Tree,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.pad(match self {
            Self::Builtin => "built-in generator",
            Self::Cifar10 => "CIFAR-10 binary version",
            Self::Cifar100 => "CIFAR-100 binary version",
            Self::TinyImagenet => "Tiny-ImageNet-200",
            Self::Tree => "one folder per class",
        })
    }
}
