//! Charts as inline SVG: axes, lines, areas, markers.
//!
//! Colours, dashes and fonts are classes, which `assets/report/page.css` gives a meaning: so a
//! chart follows the reader's dark mode, and paper. Series `n` is told from others by colour
//! (`s0` … `s5`), by dashes and by the shape of its markers.

use minijinja::HtmlEscape;
use std::fmt::{Display, Write};

/// Series that can be told apart.
pub const SERIES: usize = 6;

/// `text` where HTML is expected.
pub fn escape(text: &str) -> HtmlEscape<'_> {
    HtmlEscape(text)
}

/// One direction of a chart.
#[derive(Debug, Clone, Copy)]
pub struct Axis {
    /// Value at the axis' start and end.
    pub range: (f64, f64),
    /// Whether equal distances are equal ratios.
    pub logarithmic: bool,
    /// Where in the drawing it starts and ends.
    pub pixels: (f64, f64),
}

impl Axis {
    /// Where `value` lies in the drawing, within the axis.
    pub fn at(&self, value: f64) -> f64 {
        let scale = |v: f64| {
            if self.logarithmic {
                v.max(1e-9).ln()
            } else {
                v
            }
        };
        let (low, high) = (scale(self.range.0), scale(self.range.1));
        let share = match high - low {
            0.0 => 0.5,
            width => ((scale(value) - low) / width).clamp(0.0, 1.0),
        };
        self.pixels.0 + share * (self.pixels.1 - self.pixels.0)
    }

    /// Round values along the axis, about `count` of them.
    pub fn ticks(&self, count: usize) -> Vec<f64> {
        let (low, high) = self.range;
        if self.logarithmic {
            let decades = low.log10().floor() as i32..=high.log10().ceil() as i32;
            let within = |v: &f64| (low..=high).contains(v);
            let of = |factors: &[f64]| -> Vec<f64> {
                let all = decades
                    .clone()
                    .flat_map(|d| factors.iter().map(move |f| f * 10f64.powi(d)));
                all.filter(within).collect()
            };
            let fine = of(&[1.0, 2.0, 5.0]);
            return if fine.len() <= count {
                fine
            } else {
                of(&[1.0])
            };
        }
        let rough = (high - low) / count.max(1) as f64;
        if !(rough > 0.0 && rough.is_finite()) {
            return vec![low];
        }
        let magnitude = 10f64.powf(rough.log10().floor());
        let steps = [1.0, 2.0, 5.0, 10.0].map(|s| s * magnitude);
        let step = steps.into_iter().find(|s| *s >= rough).unwrap_or(rough);
        let first = (low / step).ceil() as i64;
        let ticks = (first..).map(|i| i as f64 * step);
        ticks
            .take_while(|v| *v <= high + 1e-9 * step)
            .take(50)
            .collect()
    }
}

/// A number of things, short: `12.9k`.
pub fn short(value: f64) -> String {
    let (scaled, unit) = match value.abs() {
        v if v >= 1e9 => (value / 1e9, "G"),
        v if v >= 1e6 => (value / 1e6, "M"),
        v if v >= 1e3 => (value / 1e3, "k"),
        _ => (value, ""),
    };
    let digits = match scaled.abs() {
        v if v >= 100.0 || v == v.trunc() => 0,
        v if v >= 10.0 => 1,
        _ => 2,
    };
    let text = format!("{scaled:.digits$}");
    let text = match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.'),
        false => &text,
    };
    format!("{text}{unit}")
}

/// A chart under construction.
pub struct Chart {
    id: String,
    title: String,
    description: String,
    size: (f64, f64),
    /// The horizontal axis.
    pub x: Axis,
    /// The vertical one.
    pub y: Axis,
    body: String,
}

impl Chart {
    /// An empty chart. `id` must be the page's only one of that name; `title` and `description`
    /// are what a screen reader says.
    pub fn new(
        id: String,
        title: String,
        description: String,
        size: (f64, f64),
        x: (f64, f64),
        y: (f64, f64),
    ) -> Self {
        let axis = |range, pixels| Axis {
            range,
            logarithmic: false,
            pixels,
        };
        Self {
            x: axis(x, (40.0, size.0 - 8.0)),
            y: axis(y, (size.1 - 32.0, 10.0)),
            id,
            title,
            description,
            size,
            body: String::new(),
        }
    }

    /// Adds an element.
    pub fn push(&mut self, element: impl Display) {
        let _ = write!(self.body, "{element}");
    }

    /// Adds text; `class` says how it is anchored.
    pub fn text(&mut self, x: f64, y: f64, class: &str, text: &str) {
        let text = escape(text);
        self.push(format_args!(
            r#"<text x="{x:.1}" y="{y:.1}" class="{class}">{text}</text>"#
        ));
    }

    /// Lines of the grid with their values, and the names of the axes.
    pub fn frame(&mut self, x_name: &str, y_name: &str, x_ticks: &[f64], y_unit: &str) {
        let (left, right) = self.x.pixels;
        let (bottom, top) = self.y.pixels;
        for value in self.y.ticks(5) {
            let at = self.y.at(value);
            self.push(format_args!(
                r#"<path class="grid" d="M{left:.1} {at:.1}H{right:.1}"/>"#
            ));
            self.text(
                left - 5.0,
                at + 3.5,
                "end",
                &format!("{}{y_unit}", short(value)),
            );
        }
        for &value in x_ticks {
            let at = self.x.at(value);
            self.push(format_args!(
                r#"<path class="grid" d="M{at:.1} {bottom:.1}V{top:.1}"/>"#
            ));
            self.text(at, bottom + 13.0, "middle", &short(value));
        }
        self.text(
            (left + right) / 2.0,
            self.size.1 - 4.0,
            "middle name",
            x_name,
        );
        if !y_name.is_empty() {
            self.text(left + 3.0, top + 9.0, "name", y_name);
        }
        self.push(format_args!(
            r#"<path class="axis" d="M{left:.1} {top:.1}V{bottom:.1}H{right:.1}"/>"#
        ));
    }

    /// A line through `points`, broken where one is not finite.
    pub fn line(&mut self, points: impl IntoIterator<Item = (f64, f64)>, class: &str) {
        let mut path = String::new();
        let mut pen = 'M';
        for (x, y) in points {
            if !(x.is_finite() && y.is_finite()) {
                pen = 'M';
                continue;
            }
            let _ = write!(path, "{pen}{:.1} {:.1}", self.x.at(x), self.y.at(y));
            pen = 'L';
        }
        if !path.is_empty() {
            self.push(format_args!(r#"<path class="line {class}" d="{path}"/>"#));
        }
    }

    /// A marker in the shape of series `series`, with what it says when pointed at; none where a
    /// value is not finite.
    pub fn marker(&mut self, x: f64, y: f64, series: usize, class: &str, says: &str) {
        if !(x.is_finite() && y.is_finite()) {
            return;
        }
        let (x, y, says) = (self.x.at(x), self.y.at(y), escape(says));
        let path = shape(series, x, y);
        self.push(format_args!(
            r#"<path class="mark {class}" d="{path}"><title>{says}</title></path>"#
        ));
    }

    /// A vertical line with a word at its top.
    pub fn boundary(&mut self, x: f64, word: &str) {
        let (bottom, top) = self.y.pixels;
        let at = self.x.at(x);
        self.push(format_args!(
            r#"<path class="boundary" d="M{at:.1} {bottom:.1}V{top:.1}"/>"#
        ));
        self.text(at + 3.0, bottom - 4.0, "phase", word);
    }

    /// The SVG.
    pub fn finish(self) -> String {
        let (width, height) = self.size;
        let (id, body) = (self.id, self.body);
        let (title, description) = (escape(&self.title), escape(&self.description));
        format!(
            "<svg viewBox=\"0 0 {width} {height}\" role=\"img\" aria-labelledby=\"{id}-t {id}-d\">\
             <title id=\"{id}-t\">{title}</title><desc id=\"{id}-d\">{description}</desc>{body}</svg>"
        )
    }
}

/// The outline of a series' marker around a point.
fn shape(series: usize, x: f64, y: f64) -> String {
    let polygon = |points: &[(f64, f64)]| {
        let corner = |(i, (dx, dy)): (usize, &(f64, f64))| {
            format!(
                "{}{:.1} {:.1}",
                if i == 0 { 'M' } else { 'L' },
                x + dx,
                y + dy
            )
        };
        points.iter().enumerate().map(corner).collect::<String>() + "Z"
    };
    match series % SERIES {
        0 => format!("M{:.1} {y:.1}a4 4 0 1 0 8 0a4 4 0 1 0 -8 0Z", x - 4.0),
        1 => polygon(&[(-3.5, -3.5), (3.5, -3.5), (3.5, 3.5), (-3.5, 3.5)]),
        2 => polygon(&[(0.0, -4.8), (4.4, 3.2), (-4.4, 3.2)]),
        3 => polygon(&[(0.0, -5.0), (5.0, 0.0), (0.0, 5.0), (-5.0, 0.0)]),
        4 => polygon(&[(0.0, 4.8), (4.4, -3.2), (-4.4, -3.2)]),
        _ => format!("M{:.1} {:.1}l8 8m0 -8l-8 8", x - 4.0, y - 4.0),
    }
}

/// A key to a chart: samples of the series' lines and markers, beside their names.
pub fn legend(entries: &[(String, usize, String)]) -> String {
    let entry = |(class, series, name): &(String, usize, String)| {
        let (mark, name) = (shape(*series, 14.0, 7.0), escape(name));
        format!(
            "<li><svg viewBox=\"0 0 28 14\" aria-hidden=\"true\"><path class=\"line {class}\" \
             d=\"M1 7H27\"/><path class=\"mark {class}\" d=\"{mark}\"/></svg>{name}</li>"
        )
    };
    let entries: String = entries.iter().map(entry).collect();
    format!("<ul class=\"legend\">{entries}</ul>")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        for (value, text) in [
            (0.0, "0"),
            (12_900.0, "12.9k"),
            (491_520.0, "492k"),
            (3.9e6, "3.9M"),
            (100.0, "100"),
            (0.5, "0.5"),
            (20.0, "20"),
        ] {
            assert_eq!(short(value), text);
        }
    }

    #[test]
    fn axes_hold_their_ends_and_round_ticks() {
        let mut axis = Axis {
            range: (100.0, 10_000.0),
            logarithmic: true,
            pixels: (0.0, 200.0),
        };
        assert_eq!(axis.at(100.0), 0.0);
        assert!((axis.at(1000.0) - 100.0).abs() < 1e-9);
        assert_eq!(axis.at(1e9), 200.0);
        assert_eq!(axis.ticks(3), [100.0, 1000.0, 10_000.0]);
        axis.logarithmic = false;
        axis.range = (0.0, 1.0);
        assert_eq!(axis.ticks(5).len(), 6);
        axis.range = (3.0, 3.0);
        assert_eq!(axis.ticks(5), [3.0]);
        assert!(axis.at(3.0).is_finite());
    }
}
