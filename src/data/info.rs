//! What `autorep data info` prints.

use super::dataset::{Dataset, Kind};
use super::images::Images;
use super::split::Split;
use serde::Serialize;
use std::fmt;

/// A data set in numbers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Info {
    /// As in [`Dataset::name`].
    pub name: String,
    /// Where it comes from.
    pub kind: Kind,
    /// In pixels.
    pub height: usize,
    /// In pixels.
    pub width: usize,
    /// Images in the training split.
    pub train: usize,
    /// Images in the test split.
    pub test: usize,
    /// In the order of the labels.
    pub classes: Vec<ClassInfo>,
    /// Per channel, of pixels in `0.0..=1.0`, as used for normalisation.
    pub mean: [f32; 3],
    /// Likewise.
    pub std: [f32; 3],
    /// As in [`Dataset::problems`].
    pub problems: Vec<String>,
}

/// Images of one class.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ClassInfo {
    /// Name of the class.
    pub name: String,
    /// In the training split.
    pub train: usize,
    /// In the test split.
    pub test: usize,
}

/// What can be counted, wherever the images are.
pub trait Countable {
    /// One class index per image.
    fn labels(&self) -> &[u32];
    /// Height and width in pixels.
    fn size(&self) -> (usize, usize);
}

impl Countable for Images {
    fn labels(&self) -> &[u32] {
        &self.labels
    }

    fn size(&self) -> (usize, usize) {
        (self.height, self.width)
    }
}

impl Countable for Split {
    fn labels(&self) -> &[u32] {
        self.labels()
    }

    fn size(&self) -> (usize, usize) {
        self.size()
    }
}

/// Counts a data set.
pub fn info(dataset: &Dataset<impl Countable>) -> Info {
    let count = |images: &dyn Countable| {
        let mut counts = vec![0; dataset.classes.len()];
        for &label in images.labels() {
            counts[label as usize] += 1;
        }
        counts
    };
    let (height, width) = dataset.train.size();
    let classes = dataset
        .classes
        .iter()
        .zip(count(&dataset.train))
        .zip(count(&dataset.test))
        .map(|((name, train), test)| ClassInfo {
            name: name.clone(),
            train,
            test,
        })
        .collect();
    Info {
        name: dataset.name.clone(),
        kind: dataset.kind,
        height,
        width,
        train: dataset.train.labels().len(),
        test: dataset.test.labels().len(),
        classes,
        mean: dataset.normalization.mean,
        std: dataset.normalization.std,
        problems: dataset.problems.clone(),
    }
}

impl fmt::Display for Info {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let channels = |[r, g, b]: [f32; 3]| format!("{r:.4}  {g:.4}  {b:.4}");
        writeln!(f, "data    {} ({})", self.name, self.kind)?;
        writeln!(f, "images  {} wide × {} high, RGB", self.width, self.height)?;
        writeln!(f, "mean    {}", channels(self.mean))?;
        writeln!(f, "std     {}", channels(self.std))?;

        let names = self.classes.iter().map(|class| class.name.chars().count());
        let wide = names.chain([16]).max().unwrap_or_default();
        writeln!(f, "\n{:wide$}  {:>8}  {:>8}", "class", "train", "test")?;
        for ClassInfo { name, train, test } in &self.classes {
            writeln!(f, "{name:wide$}  {train:>8}  {test:>8}")?;
        }
        let all = format!("all {} classes", self.classes.len());
        writeln!(f, "{all:wide$}  {:>8}  {:>8}", self.train, self.test)?;

        match self.problems.as_slice() {
            [] => write!(f, "\nno problems found"),
            problems => {
                write!(f, "\nproblems:")?;
                problems
                    .iter()
                    .try_for_each(|problem| write!(f, "\n- {problem}"))
            }
        }
    }
}
