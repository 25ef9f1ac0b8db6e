//! `summary.json`: what a run was, and what became of it.

use crate::settings::{Granularity, Polynomial};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Accuracy of a network, as shares of 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Accuracy {
    /// On the images held out of the training set.
    pub val_top1: f64,
    /// On the test images, read once at the end.
    pub test_top1: f64,
    /// The same among the first five.
    pub test_top5: f64,
}

/// What a site holds of one image's activation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SiteSummary {
    /// Name of the activation.
    pub name: String,
    /// Elements.
    pub total: usize,
    /// ReLUs kept.
    pub kept: usize,
    /// Polynomials with a square; the rest of the elements are lines.
    #[serde(default)]
    pub squares: usize,
    /// Largest |x| that enters it, of a few test images; summaries from before have none.
    #[serde(default)]
    pub largest_input: Option<f64>,
    /// Largest product, or sum of products, between the site before and behind it: what decides how
    /// many bits an engine of private inference needs.
    #[serde(default)]
    pub largest_product: Option<f64>,
    /// Largest distance, in standard deviations, of what its polynomials are given from what they were
    /// fitted to.
    #[serde(default)]
    pub farthest: Option<f64>,
    /// Share of it that lies beyond four deviations.
    #[serde(default)]
    pub beyond: Option<f64>,
}

/// A budget, and what became of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Spent {
    /// The budget as it was given.
    pub given: String,
    /// The budget.
    pub budget: f64,
    /// What the result costs.
    pub cost: f64,
}

/// What a search had come to by itself, before what it chose was brought within the budget, and what
/// that cost. The run folder keeps it in `search.json`, for a run that is killed between the two phases.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SearchEnd {
    /// ReLUs.
    pub relu_count: usize,
    /// What they and the squares cost, in the unit of the budget.
    pub cost: f64,
    /// Accuracy on the held-out images, a share of 1.
    pub val_top1: f64,
    /// The same once it was brought within the budget.
    pub settled_val_top1: f64,
}

/// Where the images came from that a teacher was trained on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TeacherSplit {
    /// It held out the images that this run holds out.
    #[default]
    Same,
    /// It does not say: it may have been trained on images that are held out here, so that the
    /// accuracy on those says little.
    Unknown,
}

/// `summary.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// How ReLUs were chosen, or `teacher` for a run that only trains one.
    pub method: String,
    /// What was kept or dropped as one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub granularity: Option<Granularity>,
    /// What was scarce: `relu`, or a protocol.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cost: Option<String>,
    /// What the activations of an image could cost, and do cost, in the unit of the budget as it
    /// was given: ReLUs, bytes, rounds or milliseconds.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub spent: Option<Spent>,
    /// What replaces a ReLU.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub polynomial: Option<Polynomial>,
    /// Its degree.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub degree: Option<usize>,
    /// Architecture.
    pub model: String,
    /// Its width multiplier.
    pub width: f64,
    /// Data set.
    pub dataset: String,
    /// Images trained on, held out, and tested on.
    pub images: [usize; 3],
    /// Seed.
    pub seed: u32,
    /// Adapter and driver.
    pub adapter: String,
    /// Kernel preset.
    pub preset: String,
    /// Seed by which images were held out: the teacher's.
    #[serde(default)]
    pub split_seed: u32,
    /// Whether those held out were trained on, too: then nothing was chosen by them.
    #[serde(default)]
    pub all_images: bool,
    /// Whether the teacher was trained on none of them.
    #[serde(default)]
    pub teacher_split: TeacherSplit,
    /// What the search had come to before it was brought within the budget.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub search_end: Option<SearchEnd>,
    /// Rank correlation of the final scores with those that the search began with: near 1, the draw
    /// has decided.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub start_agreement: Option<f64>,
    /// ReLUs of the network.
    pub relu_total: usize,
    /// ReLUs that could stay.
    pub relu_budget: usize,
    /// ReLUs that stayed.
    pub relu_count: usize,
    /// The same by site.
    pub sites: Vec<SiteSummary>,
    /// The all-ReLU network.
    pub teacher: Accuracy,
    /// The network that the run made.
    pub result: Accuracy,
    /// Training speed by phase.
    pub images_per_second: BTreeMap<String, f64>,
    /// Duration of the run, compilation and evaluation included.
    pub wall_seconds: f64,
    /// Version of the program.
    pub version: String,
}
