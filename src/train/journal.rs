//! What is told of a phase: to the log, to the progress bar, and when it goes astray.

use super::health::SiteHealth;
use super::spec::PhaseSpec;
use super::standing::{Standing, Sums};
use crate::graph::Network;
use crate::graph::layout::Site;
use crate::kernels::metrics::{Prices, Record};
use crate::kernels::step::StepScalars;
use crate::step::Evaluation;

/// Values by name, as the log takes them.
type Values = Vec<(String, f64)>;

fn value(name: &str, value: impl Into<f64>) -> (String, f64) {
    (name.to_owned(), value.into())
}

/// What the log is told of a step.
pub(super) fn step(
    spec: &PhaseSpec,
    record: &Record,
    scalars: &StepScalars,
    sites: &[Site],
) -> Values {
    let images = f64::from(record.count).max(1.0);
    let mut values = vec![
        value("loss_ce", f64::from(record.ce) / images),
        value("top1", f64::from(record.top1) / images),
        value("rate", scalars.rate[0]),
        value("gradient_norm", record.gradient_norm),
    ];
    if spec.teacher.is_some() {
        values.push(value("loss_kd", f64::from(record.kd) / images));
    }
    if let Some(search) = spec.search {
        values.push(value("relu_count", record.kept));
        if search.prices == Prices::COUNT {
            values.push(value("relu_target", scalars.budget));
        } else {
            values.push(value("cost", record.cost));
            values.push(value("cost_target", scalars.budget));
        }
        if search.squares.is_some() {
            values.push(value("square_count", record.squares));
        }
        for (site, &kept) in sites.iter().zip(&record.sites) {
            values.push(value(&format!("kept/{}", site.name), kept));
        }
    }
    values
}

/// What the log is told of an epoch, counted from 0, once it is validated.
pub(super) fn epoch(spec: &PhaseSpec, epoch: u64, sums: &Sums, result: &Evaluation) -> Values {
    let mut values = vec![
        value("epoch", epoch as f64 + 1.0),
        value("epoch_loss_ce", sums.ce / sums.images),
        value("epoch_top1", sums.hits / sums.images),
        value("val_loss", result.loss),
        value("val_top1", result.top1),
        value("val_top5", result.top5),
        value("val_astray", result.astray as f64),
    ];
    if spec.teacher.is_some() {
        values.push(value("epoch_loss_kd", sums.kd / sums.images));
    }
    values
}

/// What the log is told of what polynomials are given.
pub(super) fn sites(sites: &[SiteHealth]) -> Values {
    let of_site = |site: &SiteHealth| {
        [
            value(&format!("spread/{}", site.site), site.spread),
            value(&format!("kurtosis/{}", site.site), site.kurtosis),
        ]
    };
    sites.iter().flat_map(of_site).collect()
}

/// A line about an epoch, for the user.
pub(super) fn epoch_line(
    spec: &PhaseSpec,
    epoch: u64,
    standing: &Standing,
    result: &Evaluation,
) -> String {
    let sums = &standing.sums;
    let relus = match spec.search {
        Some(_) => format!(", {} ReLUs", standing.kept),
        None => String::new(),
    };
    let astray = match result.astray {
        0 => String::new(),
        astray => format!(", {astray} of {} images astray", result.images),
    };
    format!(
        "{} {}/{}: loss {:.4}, top-1 {:.2} %, validation {:.2} %{relus}{astray}",
        spec.phase,
        epoch + 1,
        spec.epochs,
        (sums.ce + sums.kd) / sums.images,
        100.0 * sums.hits / sums.images,
        100.0 * result.top1,
    )
}

/// What stands beside the progress bar within an epoch.
pub(super) fn so_far(spec: &PhaseSpec, standing: &Standing) -> String {
    let sums = &standing.sums;
    let mut message = format!(
        "loss {:.3}, top-1 {:.1} %",
        sums.ce / sums.images,
        100.0 * sums.hits / sums.images
    );
    if spec.search.is_some() {
        message += &format!(", {} ReLUs", standing.kept);
    }
    message
}

/// What of a step is infinite or not a number, the first in the order in which it is computed.
pub(super) fn not_finite(record: &Record, network: &Network) -> Option<String> {
    let layer = |index: u32| {
        let node = network.nodes.get(index as usize);
        node.map_or("an unknown layer", |node| node.name.as_str())
    };
    if let Some(index) = record.bad_forward {
        Some(format!("the activation of layer `{}`", layer(index)))
    } else if !(record.ce + record.kd).is_finite() {
        Some("the loss".to_owned())
    } else if let Some(index) = record.bad_backward {
        Some(format!("the gradient of layer `{}`", layer(index)))
    } else if !record.gradient_norm.is_finite() {
        Some("the gradient norm".to_owned())
    } else {
        None
    }
}
