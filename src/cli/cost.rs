//! `autorep cost`

use super::common::load_result;
use super::end::End;
use crate::cost::{
    Depth, Kind, Layer, Linear, Link, Parts, Price, Protocol, SiteCounts, Weights, bill, computing,
    evenly, layers, layers_of,
};
use crate::export::fold;
use crate::graph::{Chw, Layout, Model, Network, Nonlinearity, Tensors};
use crate::models::{self, ModelSpec};
use crate::profile::text::{Look, table};
use crate::run::model_file::{self, Unpacked};
use crate::search::budget::Budget;
use anyhow::{Result, bail};
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::{Write, stdout};
use std::path::Path;

/// Arguments of `autorep cost`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// A run folder, a checkpoint, or the name of a model; nothing, to see the protocols' prices.
    #[arg(value_name = "RUN|CHECKPOINT|MODEL")]
    what: Option<String>,
    /// Protocol: crypten, spu-semi2k, spu-aby3, spu-cheetah, delphi, or a file of prices as those in
    /// assets/protocols; ckks, homomorphic encryption, for its depth; may be repeated [default: all
    /// but ckks]
    #[arg(long = "protocol", value_name = "NAME|FILE")]
    protocols: Vec<String>,
    /// Of a model: height and width of its images [default: 32, ImageNet's models 224]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=4096))]
    input_size: Option<u32>,
    /// Of a model: number of classes [default: 10, ImageNet's models 1000]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    classes: Option<u32>,
    /// Of a model: multiplier of its channel counts [default: 1]
    #[arg(long, value_name = "FACTOR", allow_negative_numbers = true)]
    width: Option<f64>,
    /// Of a model: keep so many ReLUs (4915, 12.9k, 10%), in proportion at every site.
    #[arg(long, value_name = "B", allow_negative_numbers = true)]
    budget: Option<Budget>,
    /// What connects the parties: lan, wan (as in Cheetah's experiments), or as 100mbit,20ms
    /// (bandwidth, and latency of a round); may be repeated [default: lan and wan]
    #[arg(long = "link", value_name = "LINK")]
    links: Vec<Link>,
    /// Who knows the weights: encrypted (nobody), public (all parties).
    #[arg(long, default_value = "encrypted")]
    weights: Weights,
    /// Show each layer too.
    #[arg(long)]
    layers: bool,
    /// Print all there is to know as JSON on standard output.
    #[arg(long)]
    json: bool,
}

/// What is no protocol of several parties, and has no prices: one computes on ciphertexts.
const CKKS: &str = "ckks";

impl Args {
    fn asks_for_ckks(&self) -> bool {
        self.protocols.iter().any(|name| name == CKKS)
    }
}

/// What is priced: a network with its sites filled in one way or another.
struct Subject {
    network: Network,
    /// By name: the layers, and what their sites hold.
    scenarios: Vec<(String, Vec<Layer>, Vec<SiteCounts>)>,
    /// Of the run, or of the model without a ReLU, where that is asked for.
    depth: Option<Depth>,
    notes: Vec<String>,
}

/// All that is printed.
#[derive(Serialize)]
struct Report {
    model: String,
    /// Channels, height, width.
    input: [usize; 3],
    classes: usize,
    weights: Weights,
    links: Vec<Link>,
    protocols: Vec<Protocol>,
    /// What a reader should know.
    notes: Vec<String>,
    /// Layers that no price here holds, and so no total.
    unpriced: Vec<Layer>,
    scenarios: Vec<Scenario>,
    /// What it asks of homomorphic encryption, where that is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    ckks: Option<Depth>,
}

/// One way to fill the sites.
#[derive(Serialize)]
struct Scenario {
    name: String,
    relus: usize,
    squares: usize,
    lines: usize,
    sites: Vec<SiteCounts>,
    costs: Vec<Cost>,
}

/// What a scenario costs under a protocol.
#[derive(Serialize)]
struct Cost {
    protocol: String,
    #[serde(flatten)]
    sum: Priced,
    layers: Vec<LayerCost>,
}

/// What a layer costs.
#[derive(Serialize)]
struct LayerCost {
    #[serde(flatten)]
    layer: Layer,
    #[serde(flatten)]
    cost: Priced,
}

/// Costs by cause, and together.
#[derive(Serialize)]
struct Priced {
    parts: Parts,
    total: Price,
    /// Of communication, by the name of the link.
    milliseconds: BTreeMap<String, Option<f64>>,
    /// Milliseconds that a party computes, beside that; not known where its file does not say.
    computing: Option<f64>,
}

pub(super) fn run(args: Args) -> Result<End> {
    let named = args.protocols.iter().filter(|name| *name != CKKS);
    let protocols = match args.protocols.as_slice() {
        [] => Protocol::all()?,
        _ => named
            .map(|name| Protocol::find(name))
            .collect::<Result<_, _>>()?,
    };
    let (json, text) = match &args.what {
        Some(what) => {
            let report = report(what, &args, protocols)?;
            let json = serde_json::to_string_pretty(&report)?;
            (json, text(&report, args.layers))
        }
        None => {
            refuse(&args, "say which model, or leave it out")?;
            if args.asks_for_ckks() {
                bail!("ckks has no prices, but a depth: say of which run or model");
            }
            (
                serde_json::to_string_pretty(&protocols)?,
                prices(&protocols),
            )
        }
    };
    let mut out = stdout().lock();
    match args.json {
        true => writeln!(out, "{json}")?,
        false => write!(out, "{text}")?,
    }
    Ok(End::Done)
}

fn report(what: &str, args: &Args, protocols: Vec<Protocol>) -> Result<Report> {
    let links = match args.links.as_slice() {
        [] => vec![Link::lan(), Link::wan()],
        links => links.to_vec(),
    };
    let subject = subject(what, args)?;
    let priced = |parts: Parts, computing| Priced {
        parts,
        computing,
        total: parts.total(),
        milliseconds: links
            .iter()
            .map(|link| (link.name.clone(), link.milliseconds(parts.total())))
            .collect(),
    };
    let cost = |protocol: &Protocol, layers: &[Layer], sites: &[SiteCounts]| {
        let parts = bill(protocol, layers, sites, args.weights);
        let computing = computing(protocol, layers, sites, args.weights);
        let of_all = computing.as_ref().map(|each| each.iter().sum());
        let of_layer = |index: usize| computing.as_ref().map(|each| each[index]);
        let each = layers.iter().zip(&parts).enumerate();
        Cost {
            protocol: protocol.name.clone(),
            sum: priced(parts.iter().copied().sum(), of_all),
            layers: each
                .filter(|(_, (layer, _))| layer.kind.is_priced())
                .map(|(index, (layer, parts))| LayerCost {
                    layer: layer.clone(),
                    cost: priced(*parts, of_layer(index)),
                })
                .collect(),
        }
    };
    let scenario = |(name, layers, sites): (String, Vec<Layer>, Vec<SiteCounts>)| Scenario {
        name,
        relus: sites.iter().map(|site| site.relus).sum(),
        squares: sites.iter().map(|site| site.squares).sum(),
        lines: sites.iter().map(|site| site.lines()).sum(),
        costs: protocols.iter().map(|p| cost(p, &layers, &sites)).collect(),
        sites,
    };
    let Chw {
        channels,
        height,
        width,
    } = subject.network.node(subject.network.input()).shape;
    let first = subject
        .scenarios
        .first()
        .map(|(_, layers, _)| layers.as_slice());
    let unpriced = first.unwrap_or_default().iter();
    let unpriced: Vec<Layer> = unpriced
        .filter(|layer| !layer.kind.is_priced())
        .cloned()
        .collect();
    Ok(Report {
        ckks: subject.depth,
        model: subject.network.name.clone(),
        input: [channels, height, width],
        classes: subject.network.classes(),
        weights: args.weights,
        notes: subject.notes,
        unpriced,
        scenarios: subject.scenarios.into_iter().map(scenario).collect(),
        links,
        protocols,
    })
}

/// Refuses what is for a model's name only; `remedy` says what to do.
fn refuse(args: &Args, remedy: &str) -> Result<()> {
    for (option, given) in [
        ("--input-size", args.input_size.is_some()),
        ("--classes", args.classes.is_some()),
        ("--width", args.width.is_some()),
        ("--budget", args.budget.is_some()),
    ] {
        if given {
            bail!("{option} is for a model's name: {remedy}");
        }
    }
    Ok(())
}

/// The run or the model that is asked about.
fn subject(what: &str, args: &Args) -> Result<Subject> {
    let unknown = match models::architecture(what) {
        Ok(architecture) => return of_model(architecture, args),
        Err(unknown) => unknown,
    };
    let path = Path::new(what);
    if !path.exists() {
        bail!("`{what}` is neither a run folder nor a checkpoint, and {unknown}");
    }
    refuse(args, &format!("what {what} holds is fixed, leave it out"))?;
    let Unpacked { model, .. } = model_file::unpack(load_result(path)?)?;
    let mut notes = Vec::new();
    if model.network.nonlinearity == Nonlinearity::Silu {
        notes.push("This network has not been searched: its SiLUs are priced as ReLUs.".into());
    }
    let mut depth = None;
    let (layers, sites) = match model.network.nonlinearity {
        Nonlinearity::Relu => {
            let folded = fold(&model)?;
            depth = args.asks_for_ckks().then(|| Depth::of(&folded));
            layers_of(&folded)
        }
        Nonlinearity::Silu if args.asks_for_ckks() => {
            bail!("{what} computes SiLUs, which CKKS cannot: search it first")
        }
        Nonlinearity::Silu => (layers(&model.network), counts(&model)),
    };
    let mut scenarios = vec![("as it is".to_owned(), layers, sites)];
    scenarios.extend(extremes(&model.network));
    // A teacher is all ReLU already.
    scenarios.dedup_by(|later, earlier| later.2 == earlier.2);
    Ok(Subject {
        depth,
        network: model.network,
        scenarios,
        notes,
    })
}

/// What the sites of a searched network hold.
fn counts(model: &Model) -> Vec<SiteCounts> {
    let sites = model.layout.sites.iter();
    let count = |site: &crate::graph::layout::Site| {
        let coefficients = &model.layout.params.slots[site.coefficients];
        SiteCounts::of(
            &model.tensors.mask[site.range()],
            model.tensors.param(coefficients),
        )
    };
    sites.map(count).collect()
}

fn of_model(architecture: &models::Architecture, args: &Args) -> Result<Subject> {
    let benchmark = architecture.benchmark;
    let or = |given: Option<u32>, default: usize| given.map_or(default, |given| given as usize);
    let side = or(args.input_size, benchmark.side());
    let spec = ModelSpec {
        name: architecture.name.to_owned(),
        width: args.width.unwrap_or(1.0),
        input: (side, side),
        classes: or(args.classes, benchmark.classes()),
    };
    let network = spec.build()?;
    let (mut scenarios, mut notes) = (Vec::new(), Vec::new());
    if let Some(budget) = args.budget {
        if !matches!(budget, Budget::Count(_) | Budget::Share(_)) {
            bail!("--budget {budget}: here a budget is a number of ReLUs (12.9k) or a share (10%)");
        }
        let budget = budget.resolve(network.relu_total())?;
        let sites = evenly(&elements(&network), budget);
        scenarios.push((format!("budget {budget}"), layers(&network), sites));
        if budget > 0 {
            notes.push(
                "The budget lies in proportion at every site: a search may empty sites, and then \
                 takes fewer rounds."
                    .into(),
            );
        }
    }
    if network.nonlinearity == Nonlinearity::Silu {
        notes.push("What this model computes by SiLUs is priced as ReLUs and squares.".into());
    }
    scenarios.extend(extremes(&network));
    let depth = match args.asks_for_ckks() {
        true => Some(Depth::of(&fold(&all_square(&network))?)),
        false => None,
    };
    Ok(Subject {
        depth,
        network,
        scenarios,
        notes,
    })
}

/// A network of these layers whose activations are all the same square.
fn all_square(network: &Network) -> Model {
    let mut network = network.clone();
    network.nonlinearity = Nonlinearity::Relu;
    let layout = Layout::new(&network);
    let mut tensors = Tensors::neutral(&layout);
    tensors.mask.fill(0.0);
    for site in &layout.sites {
        let coefficients = layout.params.slots[site.coefficients].range();
        for polynomial in tensors.params[coefficients].chunks_mut(4) {
            // Any parabola will do.
            polynomial.copy_from_slice(&[0.2, 0.5, 0.2, 0.0]);
        }
    }
    let classes = (0..network.classes()).map(|class| class.to_string());
    Model {
        classes: classes.collect(),
        network,
        layout,
        tensors,
        mean: [0.5; 3],
        std: [0.25; 3],
    }
}

fn elements(network: &Network) -> Vec<usize> {
    network.sites().map(|(_, node)| node.shape.len()).collect()
}

/// All ReLUs, and none.
fn extremes(network: &Network) -> [(String, Vec<Layer>, Vec<SiteCounts>); 2] {
    let elements = elements(network);
    [("all ReLU", elements.iter().sum()), ("all square", 0)]
        .map(|(name, budget)| (name.to_owned(), layers(network), evenly(&elements, budget)))
}

/// The report as tables.
fn text(report: &Report, with_layers: bool) -> String {
    let [channels, height, width] = report.input;
    let weights = match report.weights {
        Weights::Encrypted => "encrypted",
        Weights::Public => "public",
    };
    let mut text = format!(
        "{} on {channels}×{height}×{width}, {} classes, weights {weights}: what each party sends \
         online for one image\n\n",
        report.model, report.classes
    );
    text += &occupancy(report);
    text += "\n";
    let links = report.links.iter().map(|link| {
        let (megabits, latency) = (link.megabits, link.latency);
        format!("{} {megabits} Mbit/s and {latency} ms a round", link.name)
    });
    let links: Vec<String> = links.collect();
    if !report.protocols.is_empty() {
        text += &format!(
            "Times are those of communication: {}; and of computing, with one core\n",
            links.join("; ")
        );
    }
    for (index, protocol) in report.protocols.iter().enumerate() {
        text += &about(protocol);
        let rows = report.scenarios.iter().map(|scenario| {
            let cost = &scenario.costs[index];
            (scenario.name.clone(), &cost.sum)
        });
        text += &costs(report, "", rows);
        if with_layers && let Some(scenario) = report.scenarios.first() {
            text += "\n";
            let layers = scenario.costs[index].layers.iter();
            let rows = layers.map(|layer| (layer.layer.name.clone(), &layer.cost));
            text += &costs(report, &format!("{}, by layer", scenario.name), rows);
        }
    }
    text.extend(report.ckks.map(depth));
    let mut notes = report.notes.clone();
    let opens = |protocol: &Protocol| protocol.linear.is_some_and(|linear| linear.weight > 0.0);
    if report.weights == Weights::Encrypted && report.protocols.iter().any(opens) {
        notes.push(
            "Where encrypted weights are opened, under a mask, the images of a batch share that."
                .into(),
        );
    }
    notes.extend(unpriced(report));
    for note in notes {
        text += &format!("\n{note}\n");
    }
    text
}

/// What homomorphic encryption takes.
fn depth(depth: Depth) -> String {
    let mut text = format!(
        "\nHomomorphic encryption (ckks)\n  \
         {} levels: one for each linear layer, average and folded square of the longest path;\n  \
         {} where squares are not folded but computed by Horner's rule, which takes two.\n",
        depth.levels, depth.horner
    );
    let left = [
        (depth.relus, "ReLUs"),
        (depth.sigmoids, "sigmoids"),
        (depth.maxima, "maxima"),
    ];
    let left: Vec<String> = left
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    text += &match left.is_empty() {
        true => "  Nothing is left that CKKS cannot do.\n".to_owned(),
        false => format!(
            "  CKKS cannot do {}: they need an approximation, which takes levels of its own, or \
             another scheme.\n",
            left.join(", ")
        ),
    };
    text
}

/// A protocol, where its prices come from, and which are missing.
fn about(protocol: &Protocol) -> String {
    let mut text = format!("\n{} ({})\n", protocol.title, protocol.name);
    if let Some(engine) = &protocol.engine {
        text += &format!("  {engine}\n");
    }
    for line in protocol.source.trim().lines() {
        text += &format!("  {line}\n");
    }
    if let Some(session) = protocol.session {
        let once = bytes(Some(session.bytes));
        text += &format!("  Sent once, however many images follow, and not counted: {once}.\n");
    }
    if let Some(compute) = &protocol.compute {
        text += &format!("  Computing was measured on: {}.\n", compute.machine);
    }
    if !protocol.estimated.is_empty() {
        text += &format!("  Estimated: {}.\n", protocol.estimated.join(", "));
    }
    let missing = protocol.missing();
    if !missing.is_empty() {
        text += &format!("  Not known ({UNKNOWN}): {}.\n", missing.join(", "));
    }
    text
}

/// The prices of protocols, and where they come from.
fn prices(protocols: &[Protocol]) -> String {
    let price = |price: Price| match price {
        Price::FREE => "local".to_owned(),
        Price::UNKNOWN => UNKNOWN.to_owned(),
        price => format!("{}, {}", bytes(price.bytes), rounds(price.rounds)),
    };
    let linear = |linear: Linear| {
        let operands = [
            (linear.input, "input"),
            (linear.unfolded, "unfolded input"),
            (linear.weight, "weights"),
            (linear.output, "output"),
        ];
        let sent = operands.iter().filter(|(bytes, _)| *bytes > 0.0);
        let sent: Vec<String> = sent
            .map(|(bytes, what)| format!("{bytes}·{what}"))
            .collect();
        format!("{} B, {}", sent.join(" + "), linear.rounds)
    };
    let rows: Vec<Vec<String>> = protocols
        .iter()
        .map(|protocol| {
            vec![
                protocol.name.clone(),
                price(protocol.relu),
                price(protocol.square),
                price(protocol.product),
                price(protocol.truncation.linear),
                price(protocol.truncation.square),
                protocol.linear.map_or(UNKNOWN.to_owned(), linear),
            ]
        })
        .collect();
    let head = [
        "bytes, rounds",
        "ReLU",
        "square",
        "product",
        "truncation",
        "of a square",
        "linear layer, encrypted weights ",
    ];
    let mut text = String::from(
        "What each party sends online for an element, on a ring of 64 bits, and rounds of a layer\n\n",
    );
    text += &table(Look::PLAIN, &head, &rows);
    text.extend(protocols.iter().map(about));
    text
}

/// What the sites hold.
fn occupancy(report: &Report) -> String {
    let rows: Vec<Vec<String>> = report
        .scenarios
        .iter()
        .map(|scenario| {
            let sites = |of: fn(&SiteCounts) -> bool| {
                let sites = scenario.sites.iter().filter(|site| of(site));
                sites.count().to_string()
            };
            vec![
                scenario.name.clone(),
                scenario.relus.to_string(),
                scenario.squares.to_string(),
                scenario.lines.to_string(),
                sites(|site| site.relus > 0),
                sites(|site| site.relus == 0 && site.squares > 0),
                sites(|site| site.relus == 0 && site.squares == 0),
            ]
        })
        .collect();
    let head = [
        "activations",
        "ReLUs",
        "squares",
        "lines",
        "sites with ReLU",
        "with squares only",
        "with lines only",
    ];
    table(Look::PLAIN, &head, &rows)
}

/// A table of bytes sent by each party and rounds, by cause, and of the time that they take.
fn costs<'a>(
    report: &Report,
    what: &str,
    rows: impl Iterator<Item = (String, &'a Priced)>,
) -> String {
    let products = report.scenarios.iter().flat_map(|s| &s.costs).any(|cost| {
        let mut layers = cost.layers.iter();
        layers.any(|layer| matches!(layer.layer.kind, Kind::Product { .. }))
    });
    let mut head = vec![what, " ", "ReLU", "square"];
    head.extend(products.then_some("product"));
    head.extend(["linear", "truncation", "total"]);
    head.extend(report.links.iter().map(|link| link.name.as_str()));
    head.push("computing");
    let rows: Vec<Vec<String>> = rows
        .flat_map(|(name, cost)| {
            let parts = cost.parts;
            let mut prices = vec![parts.relu, parts.square];
            prices.extend(products.then_some(parts.product));
            prices.extend([parts.linear, parts.truncation, cost.total]);
            let mut sent = vec![name, "sent".to_owned()];
            sent.extend(prices.iter().map(|price| bytes(price.bytes)));
            let links = report.links.iter();
            sent.extend(links.map(|link| time(cost.milliseconds[&link.name])));
            sent.push(time(cost.computing));
            let mut turns = vec![String::new(), "rounds".to_owned()];
            turns.extend(prices.iter().map(|price| rounds(price.rounds)));
            turns.extend(report.links.iter().map(|_| String::new()));
            turns.push(String::new());
            [sent, turns]
        })
        .collect();
    table(Look::PLAIN, &head, &rows)
}

/// What is in no total, in words.
fn unpriced(report: &Report) -> Vec<String> {
    let mut notes = Vec::new();
    let (mut sigmoids, mut layers, mut maxima) = (0, 0, 0);
    for layer in &report.unpriced {
        match layer.kind {
            Kind::Sigmoid { elements } => {
                sigmoids += elements;
                layers += 1;
            }
            Kind::Maximum { comparisons } => maxima += comparisons,
            _ => {}
        }
    }
    if sigmoids > 0 {
        notes.push(format!(
            "Not priced, and in no total: {sigmoids} sigmoids in {layers} squeeze-excites, which \
             stay and stay costly."
        ));
    }
    if maxima > 0 {
        notes.push(format!(
            "Not priced, and in no total: max-pooling, {maxima} comparisons, each about a ReLU (the \
             _avgpool models have none)."
        ));
    }
    notes
}

/// A number with three digits and a unit, each a thousand times the one before.
fn scaled(value: f64, units: &[&str]) -> String {
    let mut value = value;
    let mut units = units.iter();
    let mut unit = units.next();
    // 999.6 would be written as 1000.
    while value >= 999.5 {
        let Some(next) = units.next() else { break };
        value /= 1e3;
        unit = Some(next);
    }
    let unit = unit.copied().unwrap_or_default();
    match value {
        0.0 => format!("0 {unit}"),
        v if v >= 99.95 => format!("{v:.0} {unit}"),
        v if v >= 9.995 => format!("{v:.1} {unit}"),
        v => format!("{v:.2} {unit}"),
    }
}

/// What is not known.
const UNKNOWN: &str = "?";

fn bytes(value: Option<f64>) -> String {
    match value {
        Some(0.0) => "0".into(),
        Some(bytes) if bytes < 999.5 => format!("{bytes} B"),
        Some(bytes) => scaled(bytes, &["B", "kB", "MB", "GB", "TB"]),
        None => UNKNOWN.into(),
    }
}

fn rounds(value: Option<f64>) -> String {
    value.map_or(UNKNOWN.into(), |rounds| rounds.to_string())
}

fn time(milliseconds: Option<f64>) -> String {
    match milliseconds {
        Some(0.0) => "0".into(),
        Some(time) => scaled(1e3 * time, &["µs", "ms", "s"]),
        None => UNKNOWN.into(),
    }
}
