//! Profiles as text: with colour and bars on a terminal, plain elsewhere.

use super::compare::{Change, Verdict, changes};
use super::report::{Clock, Entry, Profile};
use super::roofline::Roofline;
use super::statistics::{Statistics, ratio};
use super::suite::Row;
use crate::run::mark::Phase;
use crate::step::account::{Memory, Need};
use console::{Alignment, Style, measure_text_width, pad_str, truncate_str};
use std::fmt::Write;

/// How text looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// Whether to colour it.
    pub colour: bool,
    /// Whether to draw bars.
    pub bars: bool,
}

impl Look {
    /// Neither colour nor bars.
    pub const PLAIN: Self = Self {
        colour: false,
        bars: false,
    };

    /// What standard output takes: bars on a terminal, and colour unless `NO_COLOR` or `CLICOLOR`
    /// say otherwise.
    pub fn of_stdout() -> Self {
        Self {
            colour: console::colors_enabled(),
            bars: console::Term::stdout().is_term(),
        }
    }

    fn paint(self, style: Style, text: impl AsRef<str>) -> String {
        let style = style.force_styling(self.colour);
        style.apply_to(text.as_ref()).to_string()
    }

    /// A title.
    pub fn title(self, text: impl AsRef<str>) -> String {
        self.paint(Style::new().bold(), text)
    }

    fn dim(self, text: impl AsRef<str>) -> String {
        self.paint(Style::new().dim(), text)
    }

    /// A share of one as a bar of `width` characters; nothing where there are no bars.
    fn bar(self, share: f64, width: usize) -> String {
        if !self.bars {
            return String::new();
        }
        let eighths = (share.clamp(0.0, 1.0) * 8.0 * width as f64).round() as usize;
        let mut bar = "█".repeat(eighths / 8);
        bar += ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"][eighths % 8];
        pad_str(&bar, width, Alignment::Left, None).into_owned()
    }

    /// A share of the roofline with its bar: the higher the greener.
    fn of_roofline(self, share: f64) -> String {
        let style = match share {
            share if share >= 0.6 => Style::new().green(),
            share if share >= 0.3 => Style::new().yellow(),
            _ => Style::new().red(),
        };
        let figure = format!("{:>4.0} %", 100.0 * share);
        let bar = self.bar(share, BAR);
        self.paint(style, format!("{figure} {bar}").trim_end())
    }
}

/// Characters of a bar.
const BAR: usize = 8;
/// Characters of the longest name that is not cut.
const NAME: usize = 32;

/// Three significant digits of a number that is not small.
fn figure(value: f64) -> String {
    match value {
        v if v >= 99.95 => format!("{v:.0}"),
        v if v >= 9.995 => format!("{v:.1}"),
        v => format!("{v:.2}"),
    }
}

/// Milliseconds.
pub fn millis(seconds: f64) -> String {
    match 1e3 * seconds {
        v if v >= 999.95 => format!("{v:.0}"),
        v if v >= 99.995 => format!("{v:.1}"),
        v if v >= 9.9995 => format!("{v:.2}"),
        v => format!("{v:.3}"),
    }
}

fn mebibytes(bytes: u64) -> String {
    format!("{:.1}", bytes as f64 / f64::from(1 << 20))
}

/// Rows of cells under a head, two spaces apart. The first column is flush left, the others
/// right, or left where their head ends in a blank.
pub fn table(look: Look, head: &[&str], rows: &[Vec<String>]) -> String {
    let widths: Vec<usize> = (0..head.len())
        .map(|column| {
            let cells = rows.iter().map(|row| measure_text_width(&row[column]));
            cells
                .max()
                .unwrap_or(0)
                .max(measure_text_width(head[column].trim_end()))
        })
        .collect();
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let mut line = String::from(" ");
        for (column, cell) in cells.enumerate() {
            let left = column == 0 || head[column].ends_with(' ');
            let side = if left {
                Alignment::Left
            } else {
                Alignment::Right
            };
            line += " ";
            line += &pad_str(cell.trim_end(), widths[column], side, None);
            line += " ";
        }
        line.trim_end().to_owned()
    };
    let mut text = look.dim(line(&mut head.iter().copied())) + "\n";
    for row in rows {
        text += &line(&mut row.iter().map(String::as_str));
        text += "\n";
    }
    text
}

fn entries(look: Look, what: &str, entries: &[Entry]) -> String {
    let most = entries.iter().map(|entry| entry.share).fold(0.0, f64::max);
    let rows: Vec<Vec<String>> = entries
        .iter()
        .map(|entry| {
            let bar = look.bar(ratio(entry.share, most), BAR);
            vec![
                truncate_str(&entry.name, NAME, "…").into_owned(),
                entry.calls.to_string(),
                millis(entry.seconds),
                format!("{:>5.1} % {bar}", 100.0 * entry.share),
                figure(entry.gflops_per_second),
                figure(entry.gbytes_per_second),
                look.of_roofline(entry.roofline),
            ]
        })
        .collect();
    let head = [
        what,
        "calls",
        "ms",
        "  share ",
        "GFLOP/s",
        "GB/s",
        "roofline ",
    ];
    table(look, &head, &rows)
}

/// The longest entries, and what the others come to.
fn longest(entries: &[Entry], count: usize) -> Vec<Entry> {
    if entries.len() <= count + 1 {
        return entries.to_vec();
    }
    let (shown, rest) = entries.split_at(count);
    let sum = |of: fn(&Entry) -> f64| rest.iter().map(of).sum::<f64>();
    let calls = rest.iter().map(|entry| entry.calls).sum();
    let cost = crate::kernels::Cost {
        flops: sum(|e| e.flops),
        bytes: sum(|e| e.bytes),
    };
    let total: f64 = entries.iter().map(|entry| entry.seconds).sum();
    let others = format!("{} others", rest.len());
    let mut shown = shown.to_vec();
    let (seconds, floor) = (sum(|e| e.seconds), sum(|e| e.floor_seconds));
    shown.push(Entry::new(others, calls, seconds, cost, floor, total));
    shown
}

/// The memory of a step by what it is for.
pub fn memory(look: Look, memory: &Memory) -> String {
    let total = memory.total();
    let row = |name: &str, need: Need| {
        let share = ratio(need.planned as f64, total.planned as f64);
        vec![
            name.to_owned(),
            mebibytes(need.planned),
            mebibytes(need.least),
            format!("{:>5.1} % {}", 100.0 * share, look.bar(share, BAR)),
        ]
    };
    let mut rows: Vec<Vec<String>> = memory
        .categories()
        .into_iter()
        .map(|(name, need)| row(name, need))
        .collect();
    rows.push(row("together", total));
    table(look, &["device memory", "MiB", "least", "  share "], &rows)
}

/// The memory of a run's phases: what is planned, and the least possible.
pub fn phases(look: Look, phases: &[(Phase, Memory)]) -> String {
    let names: Vec<String> = phases.iter().map(|(phase, _)| phase.to_string()).collect();
    let mut head = vec!["device memory, MiB"];
    for name in &names {
        head.extend([name.as_str(), "least"]);
    }
    let row = |name: &str, need: &dyn Fn(&Memory) -> Need| {
        let needs = phases.iter().map(|(_, memory)| need(memory));
        let cells = needs.flat_map(|need| [mebibytes(need.planned), mebibytes(need.least)]);
        [name.to_owned()].into_iter().chain(cells).collect()
    };
    let categories = Memory::default().categories();
    let mut rows: Vec<Vec<String>> = categories
        .iter()
        .enumerate()
        .map(|(index, (name, _))| row(name, &|memory| memory.categories()[index].1))
        .collect();
    rows.push(row("together", &Memory::total));
    table(look, &head, &rows)
}

/// The roofs, in words.
pub fn roofs(roofline: &Roofline) -> String {
    format!(
        "{} GFLOP/s, {} GB/s",
        figure(roofline.flops_per_second / 1e9),
        figure(roofline.bytes_per_second / 1e9)
    )
}

fn spread(time: &Statistics) -> String {
    format!("±{:.1} %", 50.0 * time.spread())
}

/// A profile. All layers are shown with `all`, else the longest.
pub fn profile(look: Look, profile: &Profile, all: bool) -> String {
    let subject = &profile.subject;
    let (height, width) = subject.image_size;
    let what = match subject.phase {
        super::step::Phase::Eval => "evaluation",
        super::step::Phase::Search => "search step",
        super::step::Phase::Teacher => "training step",
    };
    let mut parts = match subject.micro_batches {
        1 => String::new(),
        parts => format!(" in {parts} parts"),
    };
    if subject.recompute {
        parts += ", recomputing";
    }
    let factor = match subject.width == 1.0 {
        true => String::new(),
        false => format!(" of width {}", subject.width),
    };
    let mut text = look.title(format!(
        "{}{factor}, {what}, batch {}{parts}, {height}×{width}, {}",
        subject.model, subject.batch, subject.data
    ));
    let clock = match profile.clock {
        Clock::Device => "by timestamps on the device",
        Clock::Host => "by the host's clock, submission included: the adapter has no timestamps",
    };
    let of_roofline = ratio(profile.floor_seconds, profile.kernel_seconds);
    let facts = [
        (
            "step",
            profile.step.median,
            format!(
                "{} images/s, {} over {} rounds of whole steps",
                figure(profile.images_per_second),
                spread(&profile.step),
                profile.step.samples
            ),
        ),
        (
            "kernels",
            profile.kernel_seconds,
            format!("{} dispatches, {clock}", profile.dispatches.len()),
        ),
        (
            "floor",
            profile.floor_seconds,
            format!(
                "what the kernels take at {} ({:.0} % of it reached)",
                roofs(&profile.roofline),
                100.0 * of_roofline
            ),
        ),
        (
            "host",
            profile.host_seconds,
            "to encode and submit a step".to_owned(),
        ),
    ];
    // Writing to a string does not fail.
    let _ = write!(text, "\n{}, preset {}\n\n", subject.adapter, subject.preset);
    for (name, seconds, meaning) in facts {
        let _ = writeln!(
            text,
            "  {name:<8} {:>9} ms   {}",
            millis(seconds),
            look.dim(meaning)
        );
    }
    let shown = if all { usize::MAX - 1 } else { 12 };
    for (what, list) in [
        ("part", profile.passes.clone()),
        ("kernel", profile.kernels.clone()),
        ("layer", longest(&profile.layers, shown)),
    ] {
        text += "\n";
        text += &entries(look, what, &list);
    }
    if profile.kernels.iter().any(|kernel| kernel.roofline > 1.05) {
        let note = "More than 100 %: a cache was faster than memory.";
        text += &look.dim(format!("  {note}\n"));
    }
    text += "\n";
    text += &memory(look, &profile.memory);
    text
}

fn change_table(look: Look, what: &str, changes: &[Change]) -> String {
    let time = |seconds: Option<f64>| seconds.map_or("–".to_owned(), millis);
    let rows: Vec<Vec<String>> = changes
        .iter()
        .map(|change| {
            let (style, word) = match change.verdict() {
                Verdict::Faster => (Style::new().green(), "faster"),
                Verdict::Slower => (Style::new().red(), "slower"),
                Verdict::Same => (Style::new().dim(), "same"),
                Verdict::New => (Style::new().yellow(), "new"),
                Verdict::Gone => (Style::new().yellow(), "gone"),
            };
            let ratio = change.ratio().map_or("–".to_owned(), |r| format!("{r:.2}"));
            let sign = if change.difference() < 0.0 {
                "−"
            } else {
                "+"
            };
            vec![
                truncate_str(&change.name, 52, "…").into_owned(),
                time(change.before),
                time(change.after),
                format!("{sign}{}", millis(change.difference().abs())),
                look.paint(style.clone(), ratio),
                look.paint(style, word),
            ]
        })
        .collect();
    table(
        look,
        &[what, "ms before", "ms after", "change", "ratio", " "],
        &rows,
    )
}

/// What changed between two profiles.
pub fn comparison(look: Look, before: &Profile, after: &Profile) -> String {
    let describe = |profile: &Profile| {
        let subject = &profile.subject;
        format!(
            "{}, {}, batch {}, {}, preset {}",
            subject.model, subject.phase, subject.batch, subject.adapter, subject.preset
        )
    };
    let (was, is) = (describe(before), describe(after));
    let mut text = look.title(&is) + "\n";
    if was != is {
        let warning = format!("compared with something else: {was}");
        text += &look.paint(Style::new().yellow(), warning);
        text += "\n";
    }
    let names = |profile: &Profile| {
        [
            ("step", profile.step.median),
            ("kernels", profile.kernel_seconds),
            ("floor", profile.floor_seconds),
            ("host", profile.host_seconds),
        ]
    };
    let whole: Vec<Change> = names(before)
        .into_iter()
        .zip(names(after))
        .map(|((name, before), (_, after))| Change {
            name: name.to_owned(),
            before: Some(before),
            after: Some(after),
        })
        .collect();
    text += "\n";
    text += &change_table(look, "whole", &whole);
    for (what, before, after) in [
        ("part", &before.passes, &after.passes),
        ("kernel", &before.kernels, &after.kernels),
        ("layer", &before.layers, &after.layers),
    ] {
        text += "\n";
        text += &change_table(look, what, &changes(times(before), times(after)));
    }
    text
}

fn times(entries: &[Entry]) -> impl Iterator<Item = (&str, f64)> {
    entries
        .iter()
        .map(|entry| (entry.name.as_str(), entry.seconds))
}

/// The head of the lines that [`row`] makes.
pub fn row_head(look: Look) -> String {
    let cells = [
        "layer", "shape", "pass", "ms", "±", "GFLOP/s", "GB/s", "roof", "CPU", "compile",
    ];
    look.dim(row_line(cells.map(str::to_owned)))
}

/// A line of the kernel suite; with a baseline, its last column is the ratio of the times.
pub fn row(look: Look, row: &Row, before: Option<&Row>) -> String {
    let rate = |of: f64, seconds: f64| figure(ratio(of, seconds) / 1e9);
    let last = match before {
        None => format!("{:.0} ms", 1e3 * row.compile_seconds),
        Some(before) => {
            let change = Change {
                name: row.name(),
                before: Some(before.time.median),
                after: Some(row.time.median),
            };
            let style = match change.verdict() {
                Verdict::Faster => Style::new().green(),
                Verdict::Slower => Style::new().red(),
                _ => Style::new().dim(),
            };
            let ratio = change
                .ratio()
                .map_or("–".to_owned(), |r| format!("× {r:.2}"));
            look.paint(style, ratio)
        }
    };
    let without_bars = Look {
        bars: false,
        ..look
    };
    row_line([
        truncate_str(&row.layer, ROW[0], "…").into_owned(),
        row.shape.clone(),
        row.pass.clone(),
        millis(row.time.median),
        format!("{:.0} %", 50.0 * row.time.spread()),
        rate(row.flops, row.time.median),
        rate(row.bytes, row.time.median),
        without_bars.of_roofline(row.roofline()),
        row.processor_seconds
            .map_or("–".to_owned(), |s| rate(row.flops, s)),
        last,
    ])
}

/// A line below a row: one of its kernels.
pub fn stage(look: Look, kernel: &str, seconds: f64) -> String {
    let width = ROW[0] + ROW[1] + ROW[2] + 2;
    look.dim(format!(
        "  {kernel:<0$} {1:>2$}",
        width - 2,
        millis(seconds),
        ROW[3]
    ))
}

/// Widths of the cells of a row: 100 characters with the blanks between.
const ROW: [usize; 10] = [23, 17, 9, 6, 5, 7, 5, 6, 6, 7];

/// Three cells flush left, the others right.
fn row_line(cells: [String; 10]) -> String {
    let cells = cells.iter().zip(ROW).enumerate();
    let padded: Vec<_> = cells
        .map(|(column, (cell, width))| {
            let side = if column < 3 {
                Alignment::Left
            } else {
                Alignment::Right
            };
            pad_str(cell, width, side, None)
        })
        .collect();
    padded.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_and_figures_have_the_right_length() {
        let look = Look {
            colour: false,
            bars: true,
        };
        assert_eq!(look.bar(0.5, 8), "████    ");
        assert_eq!(look.bar(1.7, 8), "████████");
        // 1/64 of eight characters is one eighth.
        assert_eq!(look.bar(1.0 / 64.0, 8), "▏       ");
        assert_eq!(Look::PLAIN.bar(0.5, 8), "");
        let figures = [123.4, 12.34, 1.234, 0.0].map(figure);
        assert_eq!(figures, ["123", "12.3", "1.23", "0.00"]);
        let times = [12.345, 0.12346, 0.012346, 0.0012346].map(millis);
        assert_eq!(times, ["12345", "123.5", "12.35", "1.235"]);
    }

    #[test]
    fn columns_stand_below_their_heads() {
        let rows = [
            vec!["gate".into(), "1.5".into(), "a".into()],
            vec!["convolution".into(), "123.0".into(), "bcd".into()],
        ];
        let text = table(Look::PLAIN, &["kernel", "ms", "x "], &rows);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines,
            [
                "  kernel          ms  x",
                "  gate           1.5  a",
                "  convolution  123.0  bcd",
            ]
        );
    }
}
