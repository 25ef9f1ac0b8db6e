//! Protocols as data: what one ReLU, square, product, truncation or linear layer costs.

use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::Read;
use std::iter::Sum;
use std::ops::Add;
use std::path::Path;
use std::str::FromStr;

/// Bytes that each party sends online, and rounds. What is not known is `None`, and so is every sum
/// that it is part of.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// Bytes per element.
    #[serde(default)]
    pub bytes: Option<f64>,
    /// Rounds, however many elements there are.
    #[serde(default)]
    pub rounds: Option<f64>,
}

impl Price {
    /// What is local.
    pub const FREE: Self = Self {
        bytes: Some(0.0),
        rounds: Some(0.0),
    };
    /// What nobody has told.
    pub const UNKNOWN: Self = Self {
        bytes: None,
        rounds: None,
    };

    /// `count` elements side by side. None of them is free, whatever one costs.
    pub fn times(self, count: usize) -> Self {
        match count {
            0 => Self::FREE,
            _ => Self {
                bytes: self.bytes.map(|bytes| bytes * count as f64),
                ..self
            },
        }
    }
}

impl Add for Price {
    type Output = Self;

    /// One after the other.
    fn add(self, other: Self) -> Self {
        let sum = |a: Option<f64>, b: Option<f64>| Some(a? + b?);
        Self {
            bytes: sum(self.bytes, other.bytes),
            rounds: sum(self.rounds, other.rounds),
        }
    }
}

impl Sum for Price {
    fn sum<I: Iterator<Item = Self>>(prices: I) -> Self {
        prices.fold(Self::FREE, Self::add)
    }
}

/// What dividing a fixed-point product by 2^f costs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Truncation {
    /// Of a square, whose sign is known.
    pub square: Price,
    /// Of anything else: the outputs of a linear layer, products.
    pub linear: Price,
}

impl Truncation {
    const UNKNOWN: Self = Self {
        square: Price::UNKNOWN,
        linear: Price::UNKNOWN,
    };
}

/// How a linear layer with encrypted weights is priced: bytes for each element of its operands and
/// result, which are zero where a protocol does not send them.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Linear {
    /// Bytes per element of the input.
    #[serde(default)]
    pub input: f64,
    /// Bytes per element of the input as a matrix product takes it: one row per output position.
    #[serde(default)]
    pub unfolded: f64,
    /// Bytes per weight.
    #[serde(default)]
    pub weight: f64,
    /// Bytes per element of the output.
    #[serde(default)]
    pub output: f64,
    /// Rounds of a layer.
    pub rounds: f64,
}

/// What parties send once, however many images they then evaluate.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Session {
    /// Bytes that each party sends.
    pub bytes: f64,
}

/// What a party computes, as measured: nanoseconds of a processor's core.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Compute {
    /// Where it was measured.
    pub machine: String,
    /// Of a ReLU.
    pub relu: f64,
    /// Of a square with its truncation.
    pub square: f64,
    /// Of a product of two secrets with its truncation.
    pub product: f64,
    /// Of a multiply-add in a linear layer whose weights all parties know.
    pub linear_public: f64,
    /// Of a multiply-add in a linear layer whose weights are secret.
    pub linear_encrypted: f64,
    /// Of a round beyond that, however many elements it is about: what an engine does for each
    /// operation and each message.
    #[serde(default)]
    pub round: f64,
}

impl Compute {
    /// Nanoseconds of a multiply-add in a linear layer.
    pub fn linear(&self, weights: Weights) -> f64 {
        match weights {
            Weights::Public => self.linear_public,
            Weights::Encrypted => self.linear_encrypted,
        }
    }

    /// All figures by key.
    fn figures(&self) -> [(&'static str, f64); 6] {
        [
            ("relu", self.relu),
            ("square", self.square),
            ("product", self.product),
            ("linear_public", self.linear_public),
            ("linear_encrypted", self.linear_encrypted),
            ("round", self.round),
        ]
    }
}

/// Who knows the weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Default)]
#[serde(rename_all = "kebab-case")]
pub enum Weights {
    /// They are secret as the input is.
    #[default]
    Encrypted,
    /// All parties: a linear layer is local but for the truncation of its outputs.
    Public,
}

impl FromStr for Weights {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "encrypted" => Ok(Self::Encrypted),
            "public" => Ok(Self::Public),
            _ => Err(format!("`{text}` is neither encrypted nor public")),
        }
    }
}

/// Elements that a linear layer reads and makes, for one image.
///
/// As a matrix product [m×k]·[k×n] (of each group of channels): m output positions, n output
/// channels, k = C/groups·R·R weights of an output channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct LinearShape {
    /// C·H·W of the input.
    pub input: usize,
    /// m·k, summed over the groups.
    pub unfolded: usize,
    /// k·n, summed over the groups.
    pub weights: usize,
    /// m·n, summed over the groups.
    pub output: usize,
    /// m·k·n, summed over the groups: what a party multiplies and adds up.
    pub multiply_adds: usize,
}

/// What an activation site holds. The rest of its elements are lines, which are free.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct SiteCounts {
    /// Elements of an image at this site.
    pub elements: usize,
    /// Those that keep their ReLU.
    pub relus: usize,
    /// Those that are quadratics.
    pub squares: usize,
}

impl SiteCounts {
    /// Counts a site's `mask` [C, H·W], which is 0 where there is a polynomial, whose channel's
    /// `coefficients` [C, 4] tell quadratics from lines: the third, of x², is exactly 0 in a line.
    pub fn of(mask: &[f32], coefficients: &[f32]) -> Self {
        let mut counts = Self {
            elements: mask.len(),
            relus: 0,
            squares: 0,
        };
        let plane = mask.len() * 4 / coefficients.len().max(4);
        for (mask, polynomial) in mask.chunks(plane.max(1)).zip(coefficients.chunks(4)) {
            let relus = mask.iter().filter(|m| **m != 0.0).count();
            counts.relus += relus;
            if polynomial.get(2).is_some_and(|square| *square != 0.0) {
                counts.squares += mask.len() - relus;
            }
        }
        counts
    }

    /// Elements that are lines.
    pub fn lines(self) -> usize {
        self.elements.saturating_sub(self.relus + self.squares)
    }
}

/// What an activation site costs, by cause. Engines do one thing after the other: a site that holds
/// both takes the rounds of its ReLUs and those of its squares.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct SiteCost {
    /// Its ReLUs.
    pub relu: Price,
    /// The squares of its quadratics.
    pub square: Price,
    /// Their truncations.
    pub truncation: Price,
}

impl SiteCost {
    /// All of it.
    pub fn total(self) -> Price {
        self.relu + self.square + self.truncation
    }
}

/// What private inference costs under one protocol: online, per party sent, 64-bit ring.
///
/// See [the module](super) for how prices add up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Protocol {
    /// Short name: lower-case letters, digits and hyphens.
    pub name: String,
    /// Name as its authors write it.
    pub title: String,
    /// Parties that compute.
    pub parties: u32,
    /// The program that computes so, with its version, where the numbers were measured.
    #[serde(default)]
    pub engine: Option<String>,
    /// Where the numbers come from.
    pub source: String,
    /// Keys of prices that are estimates.
    #[serde(default)]
    pub estimated: Vec<String>,
    /// One ReLU: the comparison, and the choice by its result.
    pub relu: Price,
    /// One square, without its truncation.
    #[serde(default = "unknown")]
    pub square: Price,
    /// One product of two secrets, without its truncation.
    #[serde(default = "unknown")]
    pub product: Price,
    /// One truncation.
    #[serde(default = "truncation_unknown")]
    pub truncation: Truncation,
    /// Linear layers with encrypted weights; `None` where that is not known.
    #[serde(default)]
    pub linear: Option<Linear>,
    /// What is sent once; `None` where that is nothing, or not known.
    #[serde(default)]
    pub session: Option<Session>,
    /// What a party computes; `None` where that is not known.
    #[serde(default)]
    pub compute: Option<Compute>,
}

fn unknown() -> Price {
    Price::UNKNOWN
}

fn truncation_unknown() -> Truncation {
    Truncation::UNKNOWN
}

/// Why there is no such protocol.
#[derive(Debug, thiserror::Error)]
pub enum ProtocolError {
    /// Neither a name nor a file.
    #[error(
        "there is no protocol `{0}`: choose {names}, or name a FILE.toml that prices one",
        names = NAMES.join(", ")
    )]
    Unknown(String),
    /// The file cannot be read.
    #[error("{file}: {source}")]
    Read {
        /// The file.
        file: String,
        /// What went wrong.
        source: std::io::Error,
    },
    /// The file cannot be understood.
    #[error("{file}: {reason}")]
    Syntax {
        /// The file.
        file: String,
        /// What is wrong, and where.
        reason: String,
    },
    /// A value that no price has.
    #[error("{file}: `{key}` {reason}")]
    Value {
        /// The file.
        file: String,
        /// The value's key.
        key: String,
        /// What is wrong and what to write.
        reason: String,
    },
}

macro_rules! protocols {
    ($($name:literal)*) => {
        /// Names of the protocols that the program brings along.
        pub const NAMES: &[&str] = &[$($name),*];
        const TEXTS: &[&str] = &[
            $(include_str!(concat!("../../assets/protocols/", $name, ".toml"))),*
        ];
    };
}
protocols! {
    "crypten"
    "spu-semi2k"
    "spu-aby3"
    "spu-cheetah"
    "delphi"
}

/// Bytes of the largest file that is read.
const LARGEST_FILE: u64 = 1 << 16;
/// Bytes per element, rounds and nanoseconds above these are slips of the pen.
const MOST_BYTES: f64 = 1e9;
const MOST_ROUNDS: f64 = 1e6;
const MOST_NANOSECONDS: f64 = 1e12;

impl Protocol {
    /// The protocols that the program brings along, in the order of [`NAMES`].
    ///
    /// # Errors
    /// [`ProtocolError`], only where a file in the program is wrong.
    pub fn all() -> Result<Vec<Self>, ProtocolError> {
        let files = NAMES.iter().zip(TEXTS);
        files.map(|(name, text)| Self::parse(name, text)).collect()
    }

    /// The protocol of a name or, where it is none, of a file.
    ///
    /// # Errors
    /// [`ProtocolError`] where there is no such protocol or file.
    pub fn find(name_or_path: &str) -> Result<Self, ProtocolError> {
        if let Some(index) = NAMES.iter().position(|name| *name == name_or_path) {
            return Self::parse(name_or_path, TEXTS[index]);
        }
        let path = Path::new(name_or_path);
        let file = || name_or_path.to_owned();
        if !path.exists() && path.extension().is_none() && path.components().count() == 1 {
            return Err(ProtocolError::Unknown(file()));
        }
        let read = |source| ProtocolError::Read {
            file: file(),
            source,
        };
        let syntax = |reason: &str| ProtocolError::Syntax {
            file: file(),
            reason: reason.to_owned(),
        };
        if !path.metadata().map_err(read)?.is_file() {
            return Err(syntax(
                "this is no file: name a FILE.toml that prices a protocol",
            ));
        }
        let mut text = String::new();
        let stream = File::open(path).map_err(read)?;
        let mut stream = stream.take(LARGEST_FILE + 1);
        stream.read_to_string(&mut text).map_err(read)?;
        if text.len() as u64 > LARGEST_FILE {
            return Err(syntax("the file is too large to be a protocol's prices"));
        }
        Self::parse(name_or_path, &text)
    }

    /// Reads prices from TOML; `file` is named in errors.
    ///
    /// # Errors
    /// [`ProtocolError`] where the text describes none.
    pub fn parse(file: &str, text: &str) -> Result<Self, ProtocolError> {
        let protocol: Self = toml::from_str(text).map_err(|error| ProtocolError::Syntax {
            file: file.to_owned(),
            reason: error.to_string().trim_end().to_owned(),
        })?;
        protocol
            .check()
            .map_err(|(key, reason)| ProtocolError::Value {
                file: file.to_owned(),
                key,
                reason,
            })?;
        Ok(protocol)
    }

    /// The prices by key.
    fn prices(&self) -> [(&'static str, Price); 5] {
        [
            ("relu", self.relu),
            ("square", self.square),
            ("product", self.product),
            ("truncation.square", self.truncation.square),
            ("truncation.linear", self.truncation.linear),
        ]
    }

    /// The first key whose value cannot be, and why.
    fn check(&self) -> Result<(), (String, String)> {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if self.name.is_empty() || self.name.len() > 32 || !self.name.chars().all(plain) {
            return wrong(
                "name",
                "is not 1 to 32 lower-case letters, digits and hyphens",
            );
        }
        let optional = |text: &Option<String>| text.clone().unwrap_or_else(|| "none".into());
        let machine = self.compute.as_ref().map(|compute| compute.machine.clone());
        for (key, text) in [
            ("title", self.title.clone()),
            ("source", self.source.clone()),
            ("engine", optional(&self.engine)),
            ("compute.machine", optional(&machine)),
        ] {
            if text.trim().is_empty() || text.chars().any(|c| c.is_control() && c != '\n') {
                return wrong(key, "is empty or not text: say it in words");
            }
        }
        if !(1..=1000).contains(&self.parties) {
            return wrong("parties", "is out of bounds: write 2 for two parties");
        }
        let mut numbers = Vec::new();
        for (key, price) in self.prices() {
            numbers.push((format!("{key}.bytes"), price.bytes, MOST_BYTES));
            numbers.push((format!("{key}.rounds"), price.rounds, MOST_ROUNDS));
        }
        if let Some(linear) = self.linear {
            for (key, bytes) in [
                ("input", linear.input),
                ("unfolded", linear.unfolded),
                ("weight", linear.weight),
                ("output", linear.output),
            ] {
                numbers.push((format!("linear.{key}"), Some(bytes), MOST_BYTES));
            }
            numbers.push(("linear.rounds".into(), Some(linear.rounds), MOST_ROUNDS));
        }
        if let Some(session) = self.session {
            numbers.push(("session.bytes".into(), Some(session.bytes), MOST_BYTES));
        }
        for (key, nanoseconds) in self.compute.iter().flat_map(Compute::figures) {
            numbers.push((
                format!("compute.{key}"),
                Some(nanoseconds),
                MOST_NANOSECONDS,
            ));
        }
        for (key, value, most) in numbers {
            let value = value.unwrap_or(0.0);
            if !(0.0..=most).contains(&value) {
                return wrong(&key, format!("is {value}: write a number from 0 to {most}"));
            }
            if key.ends_with("rounds") && value.fract() != 0.0 {
                return wrong(&key, format!("is {value}: rounds are whole numbers"));
            }
        }
        if self.relu == Price::UNKNOWN {
            return wrong(
                "relu",
                "has neither bytes nor rounds: write one of them at least",
            );
        }
        let keys = ["relu", "square", "product", "truncation", "linear"];
        match self.estimated.iter().find(|key| !keys.contains(&&***key)) {
            Some(key) => wrong(
                "estimated",
                format!(
                    "names `{key}`, which is no price: choose among {}",
                    keys.join(", ")
                ),
            ),
            None => Ok(()),
        }
    }

    /// What a site costs that holds `counts`.
    pub fn site(&self, counts: SiteCounts) -> SiteCost {
        SiteCost {
            relu: self.relu.times(counts.relus),
            square: self.square.times(counts.squares),
            truncation: self.truncation.square.times(counts.squares),
        }
    }

    /// What it costs to multiply `elements` by weights, without the truncation.
    pub fn factor(&self, elements: usize, weights: Weights) -> Price {
        match weights {
            Weights::Public => Price::FREE,
            Weights::Encrypted => self.product.times(elements),
        }
    }

    /// What a linear layer costs, without the truncation of its outputs.
    pub fn linear(&self, shape: LinearShape, weights: Weights) -> Price {
        match (weights, self.linear) {
            (Weights::Public, _) => Price::FREE,
            (Weights::Encrypted, None) => Price::UNKNOWN,
            (Weights::Encrypted, Some(linear)) => Price {
                bytes: Some(
                    linear.input * shape.input as f64
                        + linear.unfolded * shape.unfolded as f64
                        + linear.weight * shape.weights as f64
                        + linear.output * shape.output as f64,
                ),
                rounds: Some(linear.rounds),
            },
        }
    }

    /// What it costs to bring `outputs` products back to fixed point.
    pub fn truncate(&self, outputs: usize) -> Price {
        self.truncation.linear.times(outputs)
    }

    /// Prices that are not known, by key: `relu.rounds`.
    pub fn missing(&self) -> Vec<String> {
        let mut missing = Vec::new();
        for (key, price) in self.prices() {
            match price {
                Price::UNKNOWN => missing.push(key.to_owned()),
                Price { bytes: None, .. } => missing.push(format!("{key}.bytes")),
                Price { rounds: None, .. } => missing.push(format!("{key}.rounds")),
                _ => {}
            }
        }
        if self.linear.is_none() {
            missing.push("linear".to_owned());
        }
        missing
    }
}

fn wrong(key: &str, reason: impl Into<String>) -> Result<(), (String, String)> {
    Err((key.to_owned(), reason.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The activations of resnet18 at 32×32.
    const RELUS: usize = 491_520;

    fn of(name: &str, relus: usize) -> SiteCost {
        let counts = SiteCounts {
            elements: RELUS,
            relus,
            squares: RELUS - relus,
        };
        Protocol::find(name).unwrap().site(counts)
    }

    #[test]
    fn every_bundled_file_is_a_protocol_of_its_name() {
        let names: Vec<String> = Protocol::all()
            .unwrap()
            .into_iter()
            .map(|p| p.name)
            .collect();
        assert_eq!(names, NAMES);
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/protocols");
        assert_eq!(std::fs::read_dir(folder).unwrap().count(), NAMES.len());
    }

    #[test]
    fn sites_cost_the_worked_numbers() {
        // All ReLU, all square: megabytes sent by a party for an image.
        for (name, relu, square) in [
            ("crypten", 114_032_640.0, 3_932_160.0),
            ("spu-semi2k", 35_389_440.0, 7_864_320.0),
            ("spu-aby3", 28_180_316.16, 3_932_160.0),
        ] {
            assert_eq!(of(name, RELUS).total().bytes, Some(relu), "{name}");
            assert_eq!(of(name, 0).square.bytes, Some(square), "{name}");
        }
        // Rounds, with truncations.
        let rounds = |name, relus| of(name, relus).total().rounds;
        assert_eq!(rounds("crypten", RELUS), Some(9.0));
        assert_eq!(rounds("crypten", 1), Some(10.0));
        assert_eq!(rounds("crypten", 0), Some(1.0));
        assert_eq!(rounds("spu-semi2k", 1), Some(10.0));
        assert_eq!(rounds("spu-semi2k", 0), Some(2.0));
        assert_eq!(rounds("spu-aby3", 0), Some(3.0));
    }

    #[test]
    fn masks_and_coefficients_are_counted() {
        // Three channels of two pixels: a quadratic, a line, a line.
        let mask = [1.0, 0.0, 0.0, 0.0, 1.0, 1.0];
        let line = [0.1, 0.5, 0.0, 0.0];
        let coefficients = [[0.1, 0.5, 0.2, 0.0], line, line].concat();
        let counts = SiteCounts::of(&mask, &coefficients);
        assert_eq!((counts.elements, counts.relus, counts.squares), (6, 3, 1));
        assert_eq!(counts.lines(), 2);
    }

    #[test]
    fn few_relus_cost_less_than_the_squares_beside_them() {
        let cost = of("crypten", 16_384);
        assert_eq!(cost.relu.bytes, cost.square.bytes);
        let cost = of("crypten", 16_383);
        assert!(cost.relu.bytes < cost.square.bytes);
    }

    #[test]
    fn lines_are_free_and_what_is_not_known_stays_unknown() {
        let lines = SiteCounts {
            elements: 64,
            relus: 0,
            squares: 0,
        };
        assert_eq!(lines.lines(), 64);
        for protocol in Protocol::all().unwrap() {
            assert_eq!(protocol.site(lines).total(), Price::FREE);
        }
        assert_eq!(of("delphi", 1).total(), Price::UNKNOWN);
        let cheetah = Protocol::find("spu-cheetah").unwrap();
        let per = cheetah.relu.bytes.unwrap();
        // Why quadratics do not pay there.
        assert!(cheetah.square.bytes.unwrap() > 2.0 * per, "{per}");
        let all = of("spu-cheetah", RELUS).total().bytes.unwrap();
        assert!((all - per * RELUS as f64).abs() < 1.0, "{all}");
        assert_eq!(of("spu-cheetah", RELUS).total().rounds, None);
        let delphi = of("delphi", RELUS).relu.bytes.unwrap();
        assert_eq!(delphi, 192.0 * of("delphi", 0).square.bytes.unwrap());
        assert!(Protocol::find("crypten").unwrap().missing().is_empty());
        assert!(
            Protocol::find("delphi")
                .unwrap()
                .missing()
                .contains(&"relu.rounds".to_owned())
        );
    }

    #[test]
    fn a_site_takes_the_rounds_of_its_relus_and_of_its_squares() {
        let protocol = Protocol::find("crypten").unwrap();
        let counts = SiteCounts {
            elements: 2,
            relus: 1,
            squares: 1,
        };
        let cost = protocol.site(counts);
        assert_eq!(cost.square.rounds, Some(1.0));
        assert_eq!(cost.total().rounds, Some(10.0));
    }

    #[test]
    fn linear_layers_follow_their_protocols_formulas() {
        // 3×3 convolution of 64×32×32 to 128×16×16, and a linear layer of 512 to 10.
        let conv = LinearShape {
            input: 65_536,
            unfolded: 256 * 576,
            weights: 73_728,
            output: 32_768,
            multiply_adds: 32_768 * 576,
        };
        let dense = LinearShape {
            input: 512,
            unfolded: 512,
            weights: 5120,
            output: 10,
            multiply_adds: 5120,
        };
        for (name, shape, bytes) in [
            ("crypten", conv, 8.0 * (65_536.0 + 73_728.0)),
            ("crypten", dense, 8.0 * (512.0 + 5120.0)),
            ("spu-semi2k", conv, 8.0 * (256.0 + 128.0) * 576.0),
            ("spu-semi2k", dense, 8.0 * (1.0 + 10.0) * 512.0),
            ("spu-aby3", conv, 8.0 * 256.0 * 128.0),
        ] {
            let protocol = Protocol::find(name).unwrap();
            let price = protocol.linear(shape, Weights::Encrypted);
            assert_eq!(
                (price.bytes, price.rounds),
                (Some(bytes), Some(1.0)),
                "{name}"
            );
            assert_eq!(protocol.linear(shape, Weights::Public), Price::FREE);
        }
        let delphi = Protocol::find("delphi").unwrap();
        assert_eq!(delphi.linear(conv, Weights::Encrypted), Price::UNKNOWN);
    }

    #[test]
    fn hostile_files_are_refused_with_a_reason() {
        let good = TEXTS[0];
        for (from, to, words) in [
            ("bytes = 232", "bytes = -232", "`relu.bytes` is -232"),
            ("bytes = 232", "bytes = nan", "`relu.bytes` is NaN"),
            ("bytes = 232", "bytes = inf", "`relu.bytes` is inf"),
            ("bytes = 232", "bytes = 1e300", "`relu.bytes`"),
            ("bytes = 232", "bytes = \"much\"", "much"),
            ("bytes = 232", "byts = 184", "byts"),
            ("bytes = 232\nrounds = 9", "", "`relu` has neither"),
            ("rounds = 9", "rounds = 9.5", "whole numbers"),
            ("rounds = 9", "rounds = 9\nrounds = 9", "duplicate"),
            ("[relu]", "[gelu]", "gelu"),
            ("[truncation.linear]\nbytes = 0\nrounds = 0", "", "linear"),
            ("weight = 8\nrounds = 1", "weight = 8", "rounds"),
            ("weight = 8", "weight = nan", "`linear.weight` is NaN"),
            ("parties = 2", "parties = 0", "`parties`"),
            ("parties = 2", "parties = -2", "parties"),
            ("parties = 2", "", "parties"),
            ("name = \"crypten\"", "name = \"a\\u001b[2Jb\"", "`name`"),
            ("title = \"CrypTen", "title = \"\\u001b[2J", "`title`"),
            ("parties = 2", "parties = 2\nestimated = [\"all\"]", "`all`"),
        ] {
            let text = good.replace(from, to);
            assert_ne!(text, good, "{from}");
            let error = Protocol::parse("mine.toml", &text).unwrap_err().to_string();
            assert!(
                error.contains("mine.toml") && error.contains(words),
                "{words}: {error}"
            );
        }
        assert!(Protocol::parse("mine.toml", "").is_err());
        let error = Protocol::find("cryptenn").unwrap_err().to_string();
        assert!(
            error.contains("cryptenn") && error.contains("spu-semi2k"),
            "{error}"
        );
        for missing in ["missing.toml", "no/such/folder", "", ".", "a\0b.toml"] {
            assert!(Protocol::find(missing).is_err(), "{missing:?}");
        }
    }
}
