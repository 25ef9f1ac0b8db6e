//! The charts of one run: its training, where its ReLUs lie, its polynomials.

use super::run::Run;
use super::svg::{Chart, escape, legend, short};
use crate::graph::layout::Site;
use crate::run::mark::Phase;
use crate::run::summary::SiteSummary;
use base64::prelude::*;
use image::ImageEncoder;
use image::codecs::png::PngEncoder;
use minijinja::value::Value;

/// Size of a chart in its own units, in which text is 11 high.
pub const SIZE: (f64, f64) = (380.0, 240.0);
/// Size of a small one, of which there is one for each site.
const SMALL: (f64, f64) = (260.0, 150.0);
/// Points of a line; longer ones are thinned out.
const POINTS: usize = 400;
/// Polynomials drawn of a site.
const POLYNOMIALS: usize = 12;
/// Pixels of a map's longer side; larger sites are averaged down.
const MAP: usize = 56;

/// A chart with what stands below it.
pub fn figure(svg: String, legend: String, caption: &str) -> String {
    let caption = escape(caption);
    format!("<figure>{svg}{legend}<figcaption>{caption}</figcaption></figure>")
}

/// Values per epoch and their phases' beginnings, counted over the whole run.
struct Epochs {
    /// Epochs since the run began, and the record's values.
    points: Vec<(f64, std::collections::BTreeMap<String, f64>)>,
    /// Where each phase begins.
    phases: Vec<(f64, Phase)>,
}

fn epochs(run: &Run) -> Epochs {
    let mut epochs = Epochs {
        points: Vec::new(),
        phases: Vec::new(),
    };
    let mut before = 0.0;
    for phase in Phase::ALL {
        let records = run.records.iter().filter(|record| record.phase == phase);
        let values = records.filter_map(|r| Some((*r.scalars.get("epoch")?, &r.scalars)));
        let values: Vec<_> = values.filter(|(epoch, _)| epoch.is_finite()).collect();
        if let Some((last, _)) = values.last() {
            epochs.phases.push((before, phase));
            let shifted = values.iter().map(|(e, s)| (before + e, (*s).clone()));
            epochs.points.extend(shifted);
            before += last;
        }
    }
    epochs
}

/// Accuracy and loss over epochs, ReLUs over steps.
pub fn training(id: &str, run: &Run) -> Vec<String> {
    let epochs = epochs(run);
    let Some(last) = epochs.points.last().map(|(epoch, _)| *epoch) else {
        return Vec::new();
    };
    let values = |name: &str, factor: f64| -> Vec<(f64, f64)> {
        let points = epochs.points.iter();
        points
            .filter_map(|(epoch, values)| Some((*epoch, factor * values.get(name)?)))
            .collect()
    };
    let curves = |what: &str, unit: &str, lines: [(&str, Vec<(f64, f64)>); 2], caption: &str| {
        let all = lines
            .iter()
            .flat_map(|(_, points)| points.iter().map(|p| p.1));
        let (low, high) = padded(all)?;
        let low = if unit.is_empty() { 0.0 } else { low };
        let mut chart = Chart::new(
            format!("{id}-{what}"),
            format!("{what} over epochs, {}", run.name()),
            describe(&lines),
            SIZE,
            (0.0, last),
            (low, high),
        );
        let ticks = chart.x.ticks(6);
        chart.frame("epochs", "", &ticks, unit);
        mark_phases(&mut chart, &epochs.phases);
        let mut key = Vec::new();
        for (series, (name, points)) in lines.into_iter().enumerate() {
            if points.is_empty() {
                continue;
            }
            let class = format!("s{series}");
            for &(x, y) in points.iter().filter(|_| points.len() <= 40) {
                let says = format!("{name}, epoch {}: {y:.3}{unit}", short(x));
                chart.marker(x, y, series, &class, &says);
            }
            chart.line(thin(&points), &class);
            key.push((class, series, name.to_owned()));
        }
        Some(figure(chart.finish(), legend(&key), caption))
    };
    let accuracy = curves(
        "accuracy",
        "%",
        [
            ("training images, as varied", values("epoch_top1", 100.0)),
            ("validation images", values("val_top1", 100.0)),
        ],
        "Top-1 accuracy. Training images are taken while the weights change, and with augmentation.",
    );
    let loss = curves(
        "loss",
        "",
        [
            (
                "training images, cross-entropy",
                values("epoch_loss_ce", 1.0),
            ),
            ("validation images, cross-entropy", values("val_loss", 1.0)),
        ],
        "Cross-entropy; the share of distillation in the training loss is left out.",
    );
    // Of all sites that one which stands out.
    let most = |prefix: &str| -> Vec<(f64, f64)> {
        let points = epochs.points.iter();
        let most = points.filter_map(|(epoch, values)| {
            let sites = values.iter().filter(|(name, _)| name.starts_with(prefix));
            let most = sites.map(|(_, &value)| value).reduce(f64::max)?;
            Some((*epoch, most))
        });
        most.collect()
    };
    let inputs = curves(
        "inputs",
        "",
        [
            ("largest spread of a site", most("spread/")),
            ("largest kurtosis of a channel", most("kurtosis/")),
        ],
        "What polynomials are given: standard deviation, and kurtosis, 3 in a normal distribution. Where \
         they grow from epoch to epoch, outliers do, and the loss will.",
    );
    accuracy
        .into_iter()
        .chain(loss)
        .chain(relus(id, run))
        .chain(inputs)
        .collect()
}

fn relus(id: &str, run: &Run) -> Option<String> {
    let of = |name: &str| -> Vec<(f64, f64)> {
        let records = run.records.iter();
        let points = records.filter_map(|r| Some((r.step as f64, *r.scalars.get(name)?)));
        points.collect()
    };
    let (count, target) = (of("relu_count"), of("relu_target"));
    let (first, last) = (count.first()?.0, count.last()?.0);
    let mut chart = Chart::new(
        format!("{id}-relus"),
        format!("ReLUs over steps of the search, {}", run.name()),
        format!(
            "From {} to {} of {} ReLUs.",
            count[0].1,
            count[count.len() - 1].1,
            run.summary.relu_total
        ),
        SIZE,
        (first, last),
        (0.0, run.summary.relu_total as f64),
    );
    let ticks = chart.x.ticks(5);
    chart.frame("steps", "", &ticks, "");
    chart.line(thin(&target), "s1");
    chart.line(thin(&count), "s0");
    let key = [
        ("s0".to_owned(), 0, "ReLUs".to_owned()),
        ("s1".to_owned(), 1, "target".to_owned()),
    ];
    let caption = format!(
        "ReLUs while searching. Then the budget is met exactly, at once: {} are left.",
        run.summary.relu_count
    );
    let key = legend(&key[..if target.is_empty() { 1 } else { 2 }]);
    Some(figure(chart.finish(), key, &caption))
}

fn mark_phases(chart: &mut Chart, phases: &[(f64, Phase)]) {
    for &(at, phase) in phases {
        chart.boundary(at, phase.name());
    }
}

fn describe(lines: &[(&str, Vec<(f64, f64)>)]) -> String {
    let ends = lines.iter().filter_map(|(name, points)| {
        let last = points.iter().rev().find(|p| p.1.is_finite())?.1;
        Some(format!("{name} ends at {last:.3}."))
    });
    ends.collect::<Vec<_>>().join(" ")
}

/// The range of finite values, a little wider.
pub fn padded(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    let finite = values.filter(|v| v.is_finite());
    let (low, high) = finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| {
        (low.min(v), high.max(v))
    });
    let margin = match high - low {
        width if width > 0.0 => 0.08 * width,
        0.0 => 1.0,
        _ => return None,
    };
    Some((low - margin, high + margin))
}

fn thin(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let step = points.len().div_ceil(POINTS).max(1);
    let last = points.len().saturating_sub(1);
    let kept = points.iter().enumerate();
    kept.filter(|(i, _)| i.is_multiple_of(step) || *i == last)
        .map(|(_, point)| *point)
        .collect()
}

/// Rows of the table of ReLUs by layer, each with the share of the layer and of all kept.
pub fn kept(run: &Run) -> Vec<Value> {
    let sites = run.model.layout.sites.iter().zip(run.counts());
    let kept: usize = run.summary.relu_count;
    let share = |part: usize, whole: usize| match whole {
        0 => 0.0,
        _ => 100.0 * part as f64 / whole as f64,
    };
    let of_site = |name: &str, what: fn(&SiteSummary) -> Option<f64>| {
        let site = run.summary.sites.iter().find(|site| site.name == name);
        site.and_then(what)
    };
    let one_digit = |value: f64| format!("{value:.1}");
    // The longest bar is the layer that keeps the largest share.
    let most = run
        .counts()
        .iter()
        .map(|c| share(c.relus, c.elements))
        .fold(0.0, f64::max);
    sites
        .map(|(site, counts)| {
            let of_layer = share(counts.relus, counts.elements);
            minijinja::context! {
                name => &site.name,
                shape => site.shape.to_string(),
                elements => counts.elements,
                relus => counts.relus,
                squares => counts.squares,
                lines => counts.lines(),
                largest => of_site(&site.name, |s| s.largest_input).map(one_digit),
                farthest => of_site(&site.name, |s| s.farthest).map(one_digit),
                beyond => of_site(&site.name, |s| s.beyond).map(|b| format!("{:.3}", 100.0 * b)),
                of_layer => format!("{of_layer:.2}"),
                of_kept => format!("{:.1}", share(counts.relus, kept)),
                bar => format!("{:.1}", if most > 0.0 { 100.0 * of_layer / most } else { 0.0 }),
            }
        })
        .collect()
}

/// Where a site's ReLUs lie: over positions, and over channels.
pub fn map(id: &str, run: &Run, site: &Site) -> Option<String> {
    let (shape, mask) = (site.shape, run.mask(site));
    let mut positions = vec![0.0; shape.plane()];
    let mut channels = vec![0.0; shape.channels];
    for (channel, plane) in mask.chunks(shape.plane()).enumerate() {
        for (sum, m) in positions.iter_mut().zip(plane) {
            *sum += f64::from(*m);
        }
        channels[channel] = plane.iter().map(|m| f64::from(*m)).sum();
    }
    let most = |values: &[f64]| values.iter().copied().fold(0.0, f64::max);
    let (of_position, of_channel) = (most(&positions), most(&channels));
    if of_channel == 0.0 {
        let name = escape(&site.name);
        return Some(format!(
            "<figure class=\"map\"><h5>{name}</h5><p class=\"none\">no ReLU is left</p></figure>"
        ));
    }
    let (png, (height, width)) = heat(&positions, (shape.height, shape.width))?;
    let alt = escape(&format!(
        "ReLUs of {} by position, {} by {}, at most {of_position} of {} channels",
        site.name, shape.height, shape.width, shape.channels
    ))
    .to_string();
    let mut strip = Chart::new(
        format!("{id}-strip"),
        format!("ReLUs of {} by channel", site.name),
        format!("At most {of_channel} of {} positions.", shape.plane()),
        (200.0, 40.0),
        (0.0, shape.channels as f64),
        (0.0, of_channel),
    );
    strip.x.pixels = (0.0, 200.0);
    strip.y.pixels = (39.0, 1.0);
    let mut outline = "M0 39".to_owned();
    for (channel, value) in channels.iter().enumerate() {
        let (y, x) = (strip.y.at(*value), strip.x.at(channel as f64 + 1.0));
        outline += &format!("V{y:.1}H{x:.1}");
    }
    strip.push(format_args!(r#"<path class="strip" d="{outline}V39Z"/>"#));
    strip.push(r#"<path class="axis" d="M0 39H200"/>"#);
    let name = escape(&site.name);
    Some(format!(
        "<figure class=\"map\"><h5>{name}</h5>\
         <img src=\"data:image/png;base64,{png}\" alt=\"{alt}\" width=\"{width}\" height=\"{height}\">\
         {}<figcaption>{shape}. By position: up to {} of {} channels. By channel: up to {} of {} \
         positions.</figcaption></figure>",
        strip.finish(),
        short(of_position),
        shape.channels,
        short(of_channel),
        shape.plane(),
    ))
}

/// A map as PNG in base 64, and its height and width. The more, the less transparent: so it suits
/// any background.
fn heat(values: &[f64], (height, width): (usize, usize)) -> Option<(String, (usize, usize))> {
    let block = height.max(width).div_ceil(MAP).max(1);
    let (rows, columns) = (height.div_ceil(block), width.div_ceil(block));
    let mut sums = vec![(0.0, 0.0); rows * columns];
    for (i, value) in values.iter().enumerate() {
        let cell = &mut sums[i / width / block * columns + i % width / block];
        *cell = (cell.0 + value, cell.1 + 1.0);
    }
    let means: Vec<f64> = sums.iter().map(|(sum, count)| sum / count).collect();
    let most = means.iter().copied().fold(0.0, f64::max).max(1e-12);
    let pixel = |mean: &f64| [0x1f, 0x6f, 0xd6, (255.0 * mean / most).round() as u8];
    let pixels: Vec<u8> = means.iter().flat_map(pixel).collect();
    let mut png = Vec::new();
    PngEncoder::new(&mut png)
        .write_image(
            &pixels,
            columns as u32,
            rows as u32,
            image::ExtendedColorType::Rgba8,
        )
        .ok()?;
    Some((BASE64_STANDARD.encode(&png), (rows, columns)))
}

/// The polynomials of a site over the distribution of its inputs. `None` where every element is a
/// ReLU, or where no moments were measured.
pub fn polynomials(id: &str, run: &Run, site: &Site) -> Option<String> {
    let (layout, tensors) = (&run.model.layout, &run.model.tensors);
    let coefficients = tensors.param(&layout.params.slots[site.coefficients]);
    let moments = &tensors.state[layout.state.slots[site.moments].range()];
    let masks = run.mask(site).chunks(site.shape.plane());
    let channels = coefficients.chunks(4).zip(moments.chunks(2)).zip(masks);
    let channels: Vec<Channel> = channels
        .filter(|(_, mask)| mask.contains(&0.0))
        .map(|((c, m), _)| Channel {
            // The fourth says what the polynomial may be; it is no power.
            coefficients: [c[0].into(), c[1].into(), c[2].into()],
            mean: m[0].into(),
            deviation: f64::from(m[1]).sqrt(),
        })
        .filter(|c| c.mean.is_finite() && c.deviation.is_finite() && c.deviation > 0.0)
        .collect();
    let count = channels.len() as f64;
    if channels.is_empty() {
        return None;
    }
    // Moments of the mixture in which every channel has the same weight.
    let mean = channels.iter().map(|c| c.mean).sum::<f64>() / count;
    let squares = |c: &Channel| c.deviation.powi(2) + (c.mean - mean).powi(2);
    let deviation = (channels.iter().map(squares).sum::<f64>() / count).sqrt();
    let (low, high) = (mean - 3.2 * deviation, mean + 3.2 * deviation);
    let top = (1.1 * high).max(0.6 * deviation);
    let bottom = -0.45 * top;
    let mut chart = Chart::new(
        format!("{id}-polynomials"),
        format!("Polynomials of {}", site.name),
        format!("Inputs have mean {mean:.2} and standard deviation {deviation:.2}."),
        SMALL,
        (low, high),
        (bottom, top),
    );
    chart.x.pixels = (30.0, SMALL.0 - 4.0);
    chart.y.pixels = (SMALL.1 - 18.0, 4.0);
    let xs: Vec<f64> = (0..=80)
        .map(|i| low + (high - low) * f64::from(i) / 80.0)
        .collect();
    let density = |x: f64| {
        let normal =
            |c: &Channel| (-0.5 * ((x - c.mean) / c.deviation).powi(2)).exp() / c.deviation;
        channels.iter().map(normal).sum::<f64>()
    };
    let densities: Vec<f64> = xs.iter().map(|&x| density(x)).collect();
    let peak = densities.iter().copied().fold(0.0, f64::max).max(1e-30);
    let (floor, ceiling) = chart.y.pixels;
    let mut area = format!("M{:.1} {floor:.1}", chart.x.at(low));
    for (x, density) in xs.iter().zip(&densities) {
        let y = floor - 0.8 * (floor - ceiling) * density / peak;
        area += &format!("L{:.1} {y:.1}", chart.x.at(*x));
    }
    area += &format!("L{:.1} {floor:.1}Z", chart.x.at(high));
    chart.push(format_args!(r#"<path class="density" d="{area}"/>"#));
    for x in chart.x.ticks(4) {
        let at = chart.x.at(x);
        chart.text(at, floor + 12.0, "middle", &short(x));
    }
    for y in chart.y.ticks(3) {
        let at = chart.y.at(y);
        chart.text(26.0, at + 3.5, "end", &short(y));
    }
    for side in [-2.0, 2.0] {
        let at = chart.x.at(mean + side * deviation);
        chart.push(format_args!(
            r#"<path class="boundary" d="M{at:.1} {floor:.1}V{ceiling:.1}"/>"#
        ));
    }
    let step = channels.len().div_ceil(POLYNOMIALS);
    for channel in channels.iter().step_by(step) {
        let reach = 2.0 * channel.deviation;
        let at = |i: i32| channel.mean + reach * f64::from(i) / 16.0;
        let points = (-16..=16).map(at).map(|x| {
            let [c0, c1, c2] = channel.coefficients;
            let y = c0 + c1 * x + c2 * x * x;
            // What leaves the chart is not drawn along its edge.
            let inside = (low..=high).contains(&x) && (bottom..=top).contains(&y);
            (x, if inside { y } else { f64::NAN })
        });
        chart.line(points, "polynomial");
    }
    let relu = [
        (low, low.max(0.0)),
        (0.0, 0.0),
        (high.max(0.0), high.max(0.0)),
    ];
    let relu: Vec<_> = relu
        .into_iter()
        .filter(|p| (low..=high).contains(&p.0))
        .collect();
    chart.line(relu, "relu");
    let (left, right) = chart.x.pixels;
    chart.push(format_args!(
        r#"<path class="axis" d="M{left:.1} {ceiling:.1}V{floor:.1}H{right:.1}"/>"#
    ));
    let name = escape(&site.name);
    let svg = chart.finish();
    Some(format!(
        "<figure class=\"small\"><h5>{name}</h5>{svg}<figcaption>mean {mean:.2}, s {deviation:.2}\
         </figcaption></figure>"
    ))
}

/// What is drawn of a channel.
struct Channel {
    coefficients: [f64; 3],
    mean: f64,
    deviation: f64,
}
