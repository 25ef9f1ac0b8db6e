//! Accuracies that others published, as data: `assets/published.toml`.

use serde::Deserialize;

/// A data set that published curves speak of.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Dataset {
    /// As `autorep data fetch` names it.
    pub name: String,
    /// As people write it.
    pub title: String,
    /// Number of its classes.
    pub classes: usize,
    /// Height and width of its images.
    pub side: usize,
    /// Some names of its classes, by which a copy in a folder of any name is known.
    pub known_by: Vec<String>,
}

impl Dataset {
    /// Whether images of `side` × `side` pixels in these classes, from a set called `name`, are
    /// this one's.
    pub fn is(&self, name: &str, side: (usize, usize), classes: &[String]) -> bool {
        let plain = |name: &str| -> String {
            let letters = name.chars().filter(|c| c.is_ascii_alphanumeric());
            letters.collect::<String>().to_ascii_lowercase()
        };
        let known = |class: &String| classes.contains(class);
        side == (self.side, self.side)
            && classes.len() == self.classes
            && (plain(name) == plain(&self.name) || self.known_by.iter().all(known))
    }
}

/// One method's accuracies on one data set.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Curve {
    /// Name of the method.
    pub method: String,
    /// [`Dataset::name`].
    pub dataset: String,
    /// The network, as this program names it; empty where it is none of its networks.
    pub model: String,
    /// Where the numbers come from.
    pub source: String,
    /// ReLUs kept, and top-1 in percent.
    pub points: Vec<(f64, f64)>,
}

impl Curve {
    /// Accuracy at that many ReLUs, along a straight line over their logarithm between two points;
    /// `None` before the first and behind the last.
    pub fn at(&self, relus: f64) -> Option<f64> {
        if let Some(&(_, top1)) = self.points.iter().find(|point| point.0 == relus) {
            return Some(top1);
        }
        let pairs = self.points.windows(2);
        let (from, to) = pairs
            .map(|pair| (pair[0], pair[1]))
            .find(|(a, b)| a.0 < relus && relus < b.0)?;
        let share = (relus / from.0).ln() / (to.0 / from.0).ln();
        Some(from.1 + share * (to.1 - from.1))
    }
}

/// All that is in the file.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Published {
    /// The data sets.
    pub dataset: Vec<Dataset>,
    /// The curves.
    pub curve: Vec<Curve>,
}

impl Published {
    /// What the program brings along.
    ///
    /// # Errors
    /// Only where the file in the program is wrong.
    pub fn load() -> Result<Self, toml::de::Error> {
        toml::from_str(include_str!("../../assets/published.toml"))
    }

    /// The data set that a network was trained on, if it is one of these; see [`Dataset::is`].
    pub fn dataset(
        &self,
        name: &str,
        side: (usize, usize),
        classes: &[String],
    ) -> Option<&Dataset> {
        self.dataset.iter().find(|set| set.is(name, side, classes))
    }

    /// The curves of a data set.
    pub fn curves<'a>(&'a self, dataset: &'a Dataset) -> impl Iterator<Item = &'a Curve> {
        let of = |curve: &&Curve| curve.dataset == dataset.name;
        self.curve.iter().filter(of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_curves_belong_to_their_data_sets_and_rise_with_relus() {
        let published = Published::load().unwrap();
        for curve in &published.curve {
            let of = |set: &Dataset| set.name == curve.dataset;
            assert!(published.dataset.iter().any(of), "{}", curve.dataset);
            assert!(!curve.source.is_empty());
            assert!(curve.points.is_sorted(), "{}", curve.method);
            let sane = |&(relus, top1): &(f64, f64)| relus >= 1e4 && (50.0..100.0).contains(&top1);
            assert!(curve.points.iter().all(sane), "{}", curve.method);
        }
    }

    #[test]
    fn a_curve_is_read_between_its_points_and_not_beyond() {
        let curve = Curve {
            method: "SNL".into(),
            dataset: "cifar10".into(),
            model: "resnet18".into(),
            source: "a figure".into(),
            points: vec![(1e4, 80.0), (1e6, 90.0)],
        };
        assert_eq!(curve.at(1e4), Some(80.0));
        assert_eq!(curve.at(1e6), Some(90.0));
        assert!((curve.at(1e5).unwrap() - 85.0).abs() < 1e-9);
        assert_eq!([curve.at(9e3), curve.at(2e6), curve.at(0.0)], [None; 3]);
    }

    #[test]
    fn data_sets_are_known_by_name_or_by_classes() {
        let published = Published::load().unwrap();
        let names = |names: &[&str]| -> Vec<String> {
            let mut all: Vec<String> = names.iter().map(|&n| n.to_owned()).collect();
            all.resize_with(10, || "other".into());
            all
        };
        let is = |name: &str, side, classes: &[String]| {
            let found = published.dataset(name, (side, side), classes);
            found.map(|set| set.title.clone())
        };
        let cifar = names(&["frog", "airplane", "automobile"]);
        assert_eq!(is("images", 32, &cifar).as_deref(), Some("CIFAR-10"));
        assert_eq!(is("CIFAR-10", 32, &names(&[])).as_deref(), Some("CIFAR-10"));
        assert_eq!(is("images", 64, &cifar), None);
        assert_eq!(is("builtin", 32, &names(&["frog"])), None);
        assert_eq!(is("cifar10", 32, &cifar[..9]), None);
    }
}
