//! Which invocation touches which elements: as data, as a picture of letters, and as SVG.

use super::counts::Counts;
use super::finding::Recorded;
use super::program::{Program, Resource};
use super::race::Access;
use std::collections::BTreeMap;
use std::fmt::Write;

/// Most words touched in a dispatch that is mapped.
const MOST_TOUCHES: u64 = 1 << 18;
/// Most rows and columns of a picture of letters.
const PICTURE: [usize; 2] = [32, 64];
/// Most rows and columns of a drawing.
const DRAWING: [usize; 2] = [128, 128];
/// Pixels of a cell of a drawing.
const CELL: usize = 6;

/// Which invocation of a dispatch touches which elements of each buffer.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct AccessMap {
    /// Invocations of the dispatch. Number n is number n mod `workgroup` of workgroup n div `workgroup`.
    pub invocations: u64,
    /// Invocations of a workgroup.
    pub workgroup: u32,
    /// Whether the dispatch was too large to be mapped: then no buffer is here.
    pub too_large: bool,
    /// Those that the shader uses.
    pub buffers: Vec<BufferMap>,
    #[serde(skip)]
    workgroups: [u32; 3],
}

/// Which invocation touches which elements of a buffer.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct BufferMap {
    /// The variable.
    pub name: String,
    /// Elements of its outermost array.
    pub elements: u64,
    /// Words of each.
    pub element_words: u32,
    /// Invocation, element, and how it was touched: each once, in order.
    pub touches: Vec<(u64, u64, Touch)>,
}

/// How an invocation touched an element.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub enum Touch {
    /// By loads.
    #[serde(rename = "r")]
    Read,
    /// By stores.
    #[serde(rename = "w")]
    Write,
    /// By both.
    #[serde(rename = "b")]
    Both,
    /// By atomics.
    #[serde(rename = "a")]
    Atomic,
}

impl Touch {
    fn of(access: Access) -> Self {
        match access {
            Access::Read => Self::Read,
            Access::Write => Self::Write,
            Access::AtomicRead | Access::AtomicWrite => Self::Atomic,
        }
    }

    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Read, Self::Write) | (Self::Write, Self::Read) => Self::Both,
            (one, other) => one.max(other),
        }
    }

    fn letter(self) -> char {
        match self {
            Self::Read => 'r',
            Self::Write => 'w',
            Self::Both => 'b',
            Self::Atomic => 'a',
        }
    }

    fn colour(self) -> &'static str {
        match self {
            Self::Read => "#2a78c8",
            Self::Write => "#d0482a",
            Self::Both => "#8040a0",
            Self::Atomic => "#2a9050",
        }
    }
}

impl AccessMap {
    pub(super) fn new(program: &Program, workgroups: [u32; 3]) -> Self {
        let workgroup = program.invocations();
        let groups = workgroups.iter().map(|&n| u64::from(n));
        Self {
            invocations: groups.fold(u64::from(workgroup), u64::saturating_mul),
            workgroup,
            too_large: false,
            buffers: Vec::new(),
            workgroups,
        }
    }

    /// Whether a dispatch that did this much can be mapped; notes it where not.
    pub(super) fn has_room_for(&mut self, counts: &Counts) -> bool {
        let words =
            (counts.storage_bytes_loaded + counts.storage_bytes_stored) / 4 + counts.atomics;
        self.too_large = words > MOST_TOUCHES;
        !self.too_large
    }

    /// Takes in what was recorded of a buffer of this many words.
    pub(super) fn push(&mut self, resource: &Resource, words: u64, recorded: &[Recorded]) {
        let [x, y, _] = self.workgroups.map(u64::from);
        let mut touches: BTreeMap<(u64, u64), Touch> = BTreeMap::new();
        for one in recorded {
            let [i, j, k] = one.invocation.workgroup.map(u64::from);
            let invocation = (i + x * (j + y * k)) * u64::from(self.workgroup)
                + u64::from(one.invocation.local_index);
            let touch = Touch::of(one.access);
            touches
                .entry((invocation, resource.element(one.word)))
                .and_modify(|before| *before = before.and(touch))
                .or_insert(touch);
        }
        self.buffers.push(BufferMap {
            name: resource.name.clone(),
            elements: match words {
                0 => 0,
                words => resource.element(words as u32 - 1) + 1,
            },
            element_words: resource.element_words(),
            touches: touches
                .into_iter()
                .map(|((invocation, element), touch)| (invocation, element, touch))
                .collect(),
        });
    }

    /// A picture of each buffer in letters: a row for invocations, a column for elements.
    pub fn picture(&self) -> String {
        let mut text = String::new();
        for buffer in &self.buffers {
            let Some(grid) = Grid::of(buffer, PICTURE) else {
                text += &format!("`{}`: nobody touches it\n\n", buffer.name);
                continue;
            };
            text += &format!("{}\n", grid.title(buffer));
            let width = (grid.first[0] + self.invocations).to_string().len();
            for (number, row) in grid.cells.iter().enumerate() {
                let invocation = grid.first[0] + number as u64 * grid.per_cell[0];
                let letters = row.iter().map(|cell| cell.map_or('·', Touch::letter));
                text += &format!("{invocation:>width$} {}\n", letters.collect::<String>());
            }
            text.push('\n');
        }
        text += match self.too_large {
            true => "The dispatch touches too much to be mapped: try a smaller grid.\n",
            false => {
                "r read, w written, b both, a atomic; an invocation or more a row, an element or more a column\n"
            }
        };
        text
    }

    /// The same as one drawing.
    pub fn svg(&self) -> String {
        let mut body = String::new();
        let (mut bottom, mut right) = (24, 420);
        for buffer in &self.buffers {
            let Some(grid) = Grid::of(buffer, DRAWING) else {
                continue;
            };
            let title = escape(&grid.title(buffer));
            // A String takes all that is written to it.
            let _ = writeln!(body, "<text x=\"12\" y=\"{bottom}\">{title}</text>");
            let top = bottom + 8;
            for (y, row) in grid.cells.iter().enumerate() {
                for (x, cell) in row.iter().enumerate() {
                    let (left, top) = (12 + CELL * x, top + CELL * y);
                    let colour = cell.map_or("#e4e4e4", Touch::colour);
                    let size = CELL - 1;
                    let _ = writeln!(
                        body,
                        "<rect x=\"{left}\" y=\"{top}\" width=\"{size}\" height=\"{size}\" fill=\"{colour}\"/>"
                    );
                }
                right = right.max(24 + CELL * row.len());
            }
            bottom = top + CELL * grid.cells.len() + 28;
        }
        let legend = [Touch::Read, Touch::Write, Touch::Both, Touch::Atomic];
        for (touch, (word, left)) in legend.into_iter().zip([
            ("read", 12),
            ("written", 82),
            ("both", 172),
            ("atomic", 242),
        ]) {
            let (top, text, colour) = (bottom - 9, left + 14, touch.colour());
            let _ = writeln!(
                body,
                "<rect x=\"{left}\" y=\"{top}\" width=\"10\" height=\"10\" fill=\"{colour}\"/>\
                 <text x=\"{text}\" y=\"{bottom}\">{word}</text>"
            );
        }
        let height = bottom + 14;
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{right}\" height=\"{height}\" \
             viewBox=\"0 0 {right} {height}\" font-family=\"sans-serif\" font-size=\"12\">\n\
             <title>Which invocation touches which elements</title>\n\
             <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n{body}</svg>\n"
        )
    }
}

/// Touches of a buffer in so few cells that one can see them.
struct Grid {
    /// The first invocation and the first element that are shown.
    first: [u64; 2],
    /// Invocations and elements of a cell.
    per_cell: [u64; 2],
    cells: Vec<Vec<Option<Touch>>>,
}

impl Grid {
    /// The part of the buffer that is touched, in at most so many rows and columns.
    fn of(buffer: &BufferMap, most: [usize; 2]) -> Option<Self> {
        let touches = || {
            buffer
                .touches
                .iter()
                .map(|&(invocation, element, _)| [invocation, element])
        };
        let extent = |axis: usize| {
            let first = touches().map(|touch| touch[axis]).min()?;
            let last = touches().map(|touch| touch[axis]).max()?;
            Some((first, last - first + 1))
        };
        let ((row, rows), (column, columns)) = (extent(0)?, extent(1)?);
        let first = [row, column];
        let per_cell = [
            rows.div_ceil(most[0] as u64),
            columns.div_ceil(most[1] as u64),
        ];
        let width = columns.div_ceil(per_cell[1]) as usize;
        let mut cells = vec![vec![None; width]; rows.div_ceil(per_cell[0]) as usize];
        for &(invocation, element, touch) in &buffer.touches {
            let y = ((invocation - first[0]) / per_cell[0]) as usize;
            let x = ((element - first[1]) / per_cell[1]) as usize;
            let cell: &mut Option<Touch> = &mut cells[y][x];
            *cell = Some(cell.map_or(touch, |before| before.and(touch)));
        }
        Some(Self {
            first,
            per_cell,
            cells,
        })
    }

    fn title(&self, buffer: &BufferMap) -> String {
        let [invocations, elements] = self.per_cell;
        let columns = self.cells.first().map_or(0, Vec::len) as u64;
        let shown = format!(
            "`{}`: elements {} to {} of {}",
            buffer.name,
            self.first[1],
            (self.first[1] + columns * elements).min(buffer.elements.max(1)) - 1,
            buffer.elements
        );
        match (invocations, elements) {
            (1, 1) => shown,
            _ => {
                format!("{shown}; a row is {invocations} invocations, a column {elements} elements")
            }
        }
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
