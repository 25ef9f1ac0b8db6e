//! Charts that compare runs: accuracy against ReLUs, bytes and rounds.

use super::charts::{SIZE, figure, padded};
use super::published::{Dataset, Published};
use super::run::Run;
use super::svg::{Chart, SERIES, legend, short};
use crate::cost::{Price, Protocol};
use std::collections::BTreeMap;

/// Runs that can be compared: of one network on the same images.
pub struct Family<'a> {
    /// The runs, in the order they were named.
    pub runs: Vec<&'a Run>,
    /// The data set, where others published numbers for it.
    pub dataset: Option<&'a Dataset>,
}

impl<'a> Family<'a> {
    /// All of `runs`, in families.
    pub fn all(runs: &'a [Run], published: &'a Published) -> Vec<Self> {
        let mut families: Vec<(String, Self)> = Vec::new();
        for run in runs {
            let summary = &run.summary;
            let input = run.model.network.node(run.model.network.input()).shape;
            let key = format!(
                "{} {} {} {:?} {}",
                summary.model, summary.width, summary.dataset, summary.images, input
            );
            let dataset = || {
                let side = (input.height, input.width);
                published.dataset(&summary.dataset, side, &run.model.classes)
            };
            match families.iter_mut().find(|(other, _)| *other == key) {
                Some((_, family)) => family.runs.push(run),
                None => families.push((
                    key,
                    Family {
                        runs: vec![run],
                        dataset: dataset(),
                    },
                )),
            }
        }
        families.into_iter().map(|(_, family)| family).collect()
    }

    /// What the family is called.
    pub fn title(&self) -> String {
        let summary = &self.runs[0].summary;
        let width = match summary.width {
            1.0 => String::new(),
            width => format!(" ×{width}"),
        };
        let dataset = self.dataset.map_or(&summary.dataset, |set| &set.title);
        let images = summary.images[0];
        format!(
            "{}{width} on {dataset}, {images} training images",
            summary.model
        )
    }

    /// Its searches by what they have in common, each with the runs that differ only by seed.
    fn series(&self) -> Vec<(String, Vec<Vec<&'a Run>>)> {
        let mut series: BTreeMap<String, BTreeMap<String, Vec<&Run>>> = BTreeMap::new();
        for run in self.runs.iter().filter(|run| !run.is_teacher()) {
            let points = series.entry(run.label()).or_default();
            points.entry(run.experiment()).or_default().push(run);
        }
        let flat = series.into_iter().map(|(label, points)| {
            let mut points: Vec<_> = points.into_values().collect();
            points.sort_by_key(|runs| runs[0].summary.relu_count);
            (label, points)
        });
        flat.collect()
    }

    /// The test accuracy of the networks that the runs began with, in percent: mean and spread.
    fn teachers(&self) -> (f64, f64) {
        // Runs that share a teacher have its accuracy to the last digit.
        let mut all: Vec<f64> = self
            .runs
            .iter()
            .map(|r| r.summary.teacher.test_top1)
            .collect();
        all.sort_by(f64::total_cmp);
        all.dedup();
        spread(all.into_iter().map(|top1| 100.0 * top1))
    }

    /// Accuracy against ReLUs, with the published points.
    pub fn relus(&self, id: &str, published: &Published) -> String {
        let curves = self
            .dataset
            .into_iter()
            .flat_map(|set| published.curves(set));
        let curves: Vec<_> = curves.collect();
        let x = |run: &Run| Some(run.summary.relu_count as f64);
        let others = curves.iter().map(|curve| {
            let name = format!("{} (published)", curve.method);
            (name, curve.points.clone())
        });
        let (svg, key) = self.chart(id, "ReLUs", x, others.collect());
        let mut caption = "Top-1 on the test images against ReLUs kept, on a logarithmic axis; \
                           dashed across: the all-ReLU teacher."
            .to_owned();
        if self.runs.iter().any(|run| run.summary.relu_count == 0) {
            caption += " At the left edge, 0: the all-polynomial control.";
        }
        if !curves.is_empty() {
            caption += " Grey: published points";
            let model = &self.runs[0].summary.model;
            caption += match curves.iter().any(|curve| curve.model != *model) {
                true => ", which belong to another network than the runs'",
                false => "",
            };
            caption += "; their sources are named below.";
        }
        figure(svg, key, &caption)
    }

    /// Accuracy against what the activations cost, once over bytes and once over rounds.
    pub fn costs(&self, id: &str, protocol: &Protocol) -> Vec<String> {
        let price = |run: &Run| -> Price {
            run.counts()
                .into_iter()
                .map(|c| protocol.site(c).total())
                .sum()
        };
        let chart = |name: &str, x: fn(Price) -> Option<f64>| {
            let id = format!("{id}-{name}");
            let (svg, key) = self.chart(&id, name, |run| x(price(run)), Vec::new());
            let caption = format!(
                "Top-1 on the test images against {name} of one image's activations under {}: \
                 ReLUs, squares and their truncations.",
                protocol.title
            );
            figure(svg, key, &caption)
        };
        vec![chart("bytes", |p| p.bytes), chart("rounds", |p| p.rounds)]
    }

    /// Accuracy against `x` of the runs and of `others`, and the key.
    fn chart(
        &self,
        id: &str,
        what: &str,
        x: impl Fn(&Run) -> Option<f64>,
        others: Vec<(String, Vec<(f64, f64)>)>,
    ) -> (String, String) {
        let series = self.series();
        let (teacher, _) = self.teachers();
        let mut points = Vec::new();
        for (label, experiments) in &series {
            let mut of_series = Vec::new();
            for runs in experiments {
                let (top1, deviation) =
                    spread(runs.iter().map(|r| 100.0 * r.summary.result.test_top1));
                let mean = runs.iter().filter_map(|run| x(run)).sum::<f64>() / runs.len() as f64;
                of_series.push((mean, top1, deviation, runs.len()));
            }
            of_series.sort_by(|a, b| a.0.total_cmp(&b.0));
            points.push((label, of_series));
        }
        let own = || points.iter().flat_map(|(_, points)| points);
        let published = || others.iter().flat_map(|(_, points)| points);
        let xs = || own().map(|p| p.0).chain(published().map(|p| p.0));
        let least = xs().filter(|x| *x > 0.0).fold(f64::INFINITY, f64::min);
        let most = xs().fold(0.0, f64::max);
        let (least, most) = match least.is_finite() {
            true => (least, most),
            false => (1.0, 10.0),
        };
        // Points close together need not fill the axis.
        let (least, most) = match most < 4.0 * least {
            true => (least / 2.0, most * 2.0),
            false => (least, most),
        };
        // Room at the edge for what has none of it.
        let zero = least / (most / least).max(8.0).powf(0.14);
        let ys = own().flat_map(|p| [p.1 - p.2, p.1 + p.2]);
        let ys = ys.chain(published().map(|p| p.1)).chain([teacher]);
        let y = padded(ys).unwrap_or((0.0, 100.0));
        let description = points.iter().flat_map(|(label, points)| {
            let tell = move |p: &(f64, f64, f64, usize)| {
                format!("{label}: {:.2} percent at {} {what}.", p.1, short(p.0))
            };
            points.iter().map(tell)
        });
        let description = format!(
            "Teacher: {teacher:.2} percent. {}",
            description.collect::<Vec<_>>().join(" ")
        );
        let mut chart = Chart::new(
            id.to_owned(),
            format!("Accuracy against {what}, {}", self.title()),
            description,
            SIZE,
            (zero, most * (most / least).max(4.0).powf(0.05)),
            y,
        );
        chart.x.logarithmic = true;
        let mut ticks = chart.x.ticks(7);
        ticks.retain(|tick| *tick >= least / 1.5);
        let has_zero = own().any(|p| p.0 == 0.0);
        chart.frame(what, "", &ticks, "%");
        if has_zero {
            let (left, bottom) = (chart.x.pixels.0, chart.y.pixels.0);
            chart.text(left, bottom + 13.0, "middle", "0");
        }
        let (left, right) = chart.x.range;
        chart.line([(left, teacher), (right, teacher)], "teacher");
        let mut key = vec![(
            "teacher".to_owned(),
            SERIES + 6,
            "all-ReLU teacher".to_owned(),
        )];
        for (number, (name, points)) in others.iter().enumerate() {
            chart.line(points.iter().copied(), "published");
            for &(x, y) in points {
                let says = format!("{name}: {y} % at {} {what}", short(x));
                chart.marker(x, y, number + 1, "published", &says);
            }
            key.push(("published".to_owned(), number + 1, name.clone()));
        }
        for (number, (label, points)) in points.iter().enumerate() {
            let series = number % SERIES;
            let class = format!("s{series}");
            // The edge is no point of the scale: nothing connects to it.
            let line = points.iter().filter(|p| p.0 > 0.0).map(|p| (p.0, p.1));
            chart.line(line, &class);
            for &(x, y, deviation, count) in points {
                if deviation > 0.0 {
                    let (at, low, high) = (
                        chart.x.at(x),
                        chart.y.at(y - deviation),
                        chart.y.at(y + deviation),
                    );
                    chart.push(format_args!(
                        r#"<path class="spread {class}" d="M{at:.1} {low:.1}V{high:.1}M{:.1} {low:.1}h6m-6 {:.1}h6"/>"#,
                        at - 3.0,
                        high - low
                    ));
                }
                let seeds = match count {
                    1 => String::new(),
                    n => format!(" ± {deviation:.2}, {n} seeds"),
                };
                let says = format!("{label}: {y:.2} %{seeds} at {} {what}", short(x));
                chart.marker(x, y, series, &class, &says);
            }
            key.push((class, series, (*label).clone()));
        }
        (chart.finish(), legend(&key))
    }

    /// Sources of the published curves, each with the network they belong to.
    pub fn sources(&self, published: &Published) -> Vec<String> {
        let curves = self
            .dataset
            .into_iter()
            .flat_map(|set| published.curves(set));
        let lines = curves.map(|curve| {
            let model = match curve.model.as_str() {
                "" => "a network of its own",
                model => model,
            };
            format!("{}: {model}; {}", curve.method, curve.source)
        });
        lines.collect()
    }

    /// What to know before comparing with the published points.
    pub fn caution(&self, published: &Published) -> Option<String> {
        let set = self.dataset?;
        let summary = &self.runs[0].summary;
        let mut differs = Vec::new();
        let models: Vec<_> = published.curves(set).map(|curve| &curve.model).collect();
        if models.iter().any(|model| **model != summary.model) || summary.width != 1.0 {
            let all: usize = summary.relu_total;
            differs.push(format!(
                "The published points belong to other networks than the runs' {} ({all} ReLUs): \
                 mostly resnet18, which has 491,520 ReLUs at 32×32 pixels and 1,966,080 at 64×64.",
                summary.model
            ));
        }
        let [train, held_out, _] = summary.images;
        let choices = match summary.all_images {
            true => String::from("without choices"),
            false => format!("with {held_out} held out for every choice"),
        };
        differs.push(format!(
            "The runs were trained on {train} images, {choices}."
        ));
        Some(differs.join(" "))
    }
}

/// Mean and sample standard deviation, 0 where there is but one value.
pub fn spread(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let values: Vec<f64> = values.collect();
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let squares: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
    match values.len() {
        0 | 1 => (mean, 0.0),
        _ => (mean, (squares / (count - 1.0)).sqrt()),
    }
}
