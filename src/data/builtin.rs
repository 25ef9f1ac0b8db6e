//! The built-in data: ten classes of small colour images drawn by the program, so that a
//! fresh checkout can train, search and test without a download.
//!
//! The first five classes are textures; the last five hold the *same two* textures, stripes
//! lying and stripes standing, in about the same amounts, and differ only in where they are:
//!
//! | class | what is drawn |
//! |---|---|
//! | `lying` | horizontal stripes |
//! | `standing` | vertical stripes |
//! | `slanted` | diagonal stripes, falling or rising |
//! | `checks` | a checkerboard |
//! | `rings` | concentric rings around a random centre |
//! | `lying-above` | lying stripes in the upper half, standing ones below |
//! | `standing-above` | the same the other way up |
//! | `beside` | lying and standing stripes side by side, in either order |
//! | `lying-inside` | a disc of lying stripes on standing ones |
//! | `standing-inside` | a disc of standing stripes on lying ones |
//!
//! Everything else is chance and says nothing about the class: wavelength (3 to 5 pixels; of
//! checks, whose energy lies on the diagonals, √2 times that),
//! phase, a slight tilt, contrast, the colours of each region, a brightness gradient, noise.
//!
//! **Why a linear network fails.** The phase is uniform, so in every class a pixel is as
//! often above the mean as below it: all ten class means are the same grey, and a linear
//! function of the image has the same expectation in each. With identity in place of every
//! ReLU a convolutional network *is* such a function, up to the few points that differences
//! in spread are worth. The textures are told apart by second moments (energy in a band),
//! the arrangements only by putting two such energies together in the right places, which
//! takes a second nonlinear layer; and since the contrast varies fivefold, so the
//! energy twenty-five-fold, what scales with its input (a ReLU) has it easier than a square.
//!
//! Every class is mapped to itself by a left-right flip and by a shift, so the usual
//! augmentation is harmless.
//!
//! **Reproducible anywhere.** Image `i` of a split is a function of the seed, the split and
//! `i` alone ([`draw`]): it does not depend on how many images are made, nor on the number of
//! threads. Only additions, multiplications, divisions, roots and floors are used, which
//! IEEE 754 rounds exactly, so the bytes agree on every machine; a sine would not.

use super::dataset::{Dataset, Kind};
use super::error::DataError;
use super::images::{Images, digest};
use super::normalization::Normalization;
use super::options::OpenOptions;
use super::stream::Stream;
use rayon::prelude::*;

/// The ten class names, in label order.
pub const CLASSES: [&str; 10] = [
    "lying",
    "standing",
    "slanted",
    "checks",
    "rings",
    "lying-above",
    "standing-above",
    "beside",
    "lying-inside",
    "standing-inside",
];

/// What to draw: the part of a specification after `builtin:`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spec {
    /// Number of training images.
    pub train: usize,
    /// Number of test images.
    pub test: usize,
    /// Height and width in pixels, `8..=512`.
    pub size: usize,
    /// Seed of all chance.
    pub seed: u64,
}

impl Default for Spec {
    fn default() -> Self {
        Self {
            train: 4096,
            test: 1024,
            size: 16,
            seed: 0,
        }
    }
}

impl Spec {
    /// Reads `train=4000,test=1000,size=16,seed=7`; every key may be left out.
    pub fn parse(text: &str) -> Result<Self, DataError> {
        let mut spec = Self::default();
        for pair in text.split(',').filter(|pair| !pair.is_empty()) {
            let bad = || DataError::BuiltinSpec {
                pair: pair.to_owned(),
            };
            let (key, value) = pair.split_once('=').ok_or_else(bad)?;
            let count = || value.parse::<usize>().map_err(|_| bad());
            match key {
                "train" => spec.train = count()?,
                "test" => spec.test = count()?,
                "size" => spec.size = count()?,
                "seed" => spec.seed = value.parse().map_err(|_| bad())?,
                _ => return Err(bad()),
            }
        }
        Ok(spec)
    }

    fn check(self) -> Result<Self, DataError> {
        let out_of_range = |key, value, low, high| DataError::BuiltinRange {
            key,
            value,
            low,
            high,
        };
        for (key, value, low, high) in [
            ("size", self.size, 8, 512),
            ("train", self.train, CLASSES.len(), MOST_IMAGES),
            ("test", self.test, CLASSES.len(), MOST_IMAGES),
        ] {
            if !(low..=high).contains(&value) {
                return Err(out_of_range(key, value, low, high));
            }
        }
        super::error::check_bytes(
            "builtin".as_ref(),
            self.train + self.test,
            self.size,
            self.size,
        )
        .map(|()| self)
    }
}

/// More would be a slip of the keyboard.
const MOST_IMAGES: usize = 10_000_000;

/// Draws the data set that `text`, the part after `builtin:`, asks for.
pub(super) fn open(text: &str, options: &OpenOptions) -> Result<Dataset, DataError> {
    let mut spec = Spec::parse(text)?;
    if let Some(size) = options.size {
        spec.size = size as usize;
    }
    generate(spec)
}

/// Draws a whole data set, on all cores.
pub fn generate(spec: Spec) -> Result<Dataset, DataError> {
    let spec = spec.check()?;
    let train = split(spec, Split::Train, spec.train);
    let test = split(spec, Split::Test, spec.test);
    let normalization = Normalization::of(&train);
    Ok(Dataset {
        digest: digest(&train, &test),
        name: "builtin".to_owned(),
        kind: Kind::Builtin,
        classes: CLASSES.map(str::to_owned).to_vec(),
        train,
        test,
        normalization,
        problems: Vec::new(),
    })
}

/// The two splits are streams of their own, so neither can run into the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Split {
    /// To train on.
    Train,
    /// To test on.
    Test,
}

fn split(spec: Spec, split: Split, count: usize) -> Images {
    let bytes = 3 * spec.size * spec.size;
    let mut pixels = vec![0; count * bytes];
    pixels
        .par_chunks_exact_mut(bytes)
        .enumerate()
        .for_each(|(index, out)| draw(spec.seed, split, index, spec.size, out));
    Images {
        height: spec.size,
        width: spec.size,
        pixels,
        labels: (0..count).map(label).collect(),
    }
}

/// Labels go round, so that any run of images is balanced to within one.
pub fn label(index: usize) -> u32 {
    (index % CLASSES.len()) as u32
}

/// Draws image `index` of a split into `out`, three planes of `size × size` bytes.
pub fn draw(seed: u64, split: Split, index: usize, size: usize, out: &mut [u8]) {
    let mut chance = Stream::new(seed, split as u64, index as u64);
    let scene = Scene::new(label(index), size as f32, &mut chance);
    let plane = size * size;
    for (at, position) in (0..plane).map(|at| (at, (at / size, at % size))) {
        let (y, x) = (position.0 as f32 + 0.5, position.1 as f32 + 0.5);
        for (channel, value) in scene.colour(y, x).into_iter().enumerate() {
            // The sum of two uniforms: a triangle of standard deviation 0.41 · NOISE.
            let noise = NOISE * (chance.uniform(-0.5, 0.5) + chance.uniform(-0.5, 0.5));
            out[channel * plane + at] = ((value + noise).clamp(0.0, 1.0) * 255.0).round() as u8;
        }
    }
}

/// Full width of one of the two uniforms that make the noise, in units of full brightness.
const NOISE: f32 = 0.22;

/// One image before noise: a background, and two painted textures with a border between.
struct Scene {
    grey: [f32; 3],
    slope: (f32, f32),
    middle: f32,
    inner: Paint,
    outer: Paint,
    region: Region,
}

impl Scene {
    fn new(label: u32, size: f32, chance: &mut Stream) -> Self {
        use Texture::{Checks, Lying, Rings, Slanted, Standing};
        let (inner, outer, region) = match label {
            0 => (Lying, Lying, Region::Everything),
            1 => (Standing, Standing, Region::Everything),
            2 => (Slanted, Slanted, Region::Everything),
            3 => (Checks, Checks, Region::Everything),
            4 => (Rings, Rings, Region::Everything),
            5 => (Lying, Standing, Region::above(size, chance)),
            6 => (Standing, Lying, Region::above(size, chance)),
            7 if chance.coin() => (Lying, Standing, Region::left(size, chance)),
            7 => (Standing, Lying, Region::left(size, chance)),
            8 => (Lying, Standing, Region::disc(size, chance)),
            _ => (Standing, Lying, Region::disc(size, chance)),
        };
        let contrast = chance.uniform(0.10, 0.50);
        let slope = 0.3 / size;
        Self {
            grey: [(); 3].map(|()| chance.uniform(0.35, 0.65)),
            slope: (chance.uniform(-slope, slope), chance.uniform(-slope, slope)),
            middle: size / 2.0,
            inner: Paint::new(inner, contrast, size, chance),
            outer: Paint::new(outer, contrast, size, chance),
            region,
        }
    }

    /// RGB at a position in pixels; nominally `0.0..=1.0`.
    fn colour(&self, y: f32, x: f32) -> [f32; 3] {
        let paint = if self.region.holds(y, x) {
            &self.inner
        } else {
            &self.outer
        };
        let light = self.slope.0 * (y - self.middle) + self.slope.1 * (x - self.middle);
        let wave = paint.wave(y, x);
        [0, 1, 2].map(|channel| self.grey[channel] + light + paint.tint[channel] * wave)
    }
}

/// Where the inner texture lies.
enum Region {
    Everything,
    Above { y: f32 },
    Left { x: f32 },
    Disc { y: f32, x: f32, radius: f32 },
}

impl Region {
    fn above(size: f32, chance: &mut Stream) -> Self {
        Self::Above {
            y: size * chance.uniform(0.4, 0.6),
        }
    }

    fn left(size: f32, chance: &mut Stream) -> Self {
        Self::Left {
            x: size * chance.uniform(0.4, 0.6),
        }
    }

    fn disc(size: f32, chance: &mut Stream) -> Self {
        Self::Disc {
            y: size * chance.uniform(0.45, 0.55),
            x: size * chance.uniform(0.45, 0.55),
            radius: size * chance.uniform(0.30, 0.38),
        }
    }

    fn holds(&self, y: f32, x: f32) -> bool {
        match *self {
            Self::Everything => true,
            Self::Above { y: border } => y < border,
            Self::Left { x: border } => x < border,
            Self::Disc { y: v, x: u, radius } => {
                (y - v) * (y - v) + (x - u) * (x - u) < radius * radius
            }
        }
    }
}

#[derive(Clone, Copy)]
enum Texture {
    Lying,
    Standing,
    Slanted,
    Checks,
    Rings,
}

/// A texture with everything about it that is chance.
struct Paint {
    texture: Texture,
    /// Cycles per pixel.
    frequency: f32,
    /// In cycles, uniform: this is what takes the class out of every mean.
    phase: [f32; 2],
    /// Sideways drift of the stripes per pixel along them; for `Slanted`, about ±1.
    tilt: f32,
    /// Centre of the rings, in pixels.
    centre: [f32; 2],
    /// Amplitude per channel, of either sign.
    tint: [f32; 3],
}

impl Paint {
    fn new(texture: Texture, contrast: f32, size: f32, chance: &mut Stream) -> Self {
        let tilt = chance.uniform(-0.15, 0.15);
        let tilt = match texture {
            Texture::Slanted if chance.coin() => tilt + 1.0,
            Texture::Slanted => tilt - 1.0,
            _ => tilt,
        };
        // A product of two waves has its energy on the diagonals, √2 higher than either.
        let stretch = match texture {
            Texture::Checks => 1.4,
            _ => 1.0,
        };
        let tint = [(); 3].map(|()| chance.uniform(0.3, 1.0));
        // One channel in three images runs against the other two: stripes of two hues.
        let odd = chance.below(6);
        Self {
            texture,
            frequency: 1.0 / (stretch * chance.uniform(3.0, 5.0)),
            phase: [(); 2].map(|()| chance.uniform(0.0, 1.0)),
            tilt,
            centre: [(); 2].map(|()| size * chance.uniform(0.35, 0.65)),
            tint: [0, 1, 2].map(|channel| {
                let sign = if channel == odd { -1.0 } else { 1.0 };
                sign * contrast * tint[channel]
            }),
        }
    }

    /// The pattern at a position in pixels, `-1.0..=1.0`.
    fn wave(&self, y: f32, x: f32) -> f32 {
        // Stripes keep their wavelength whatever their tilt.
        let steep = self.frequency / (1.0 + self.tilt * self.tilt).sqrt();
        let across =
            |along: f32, away: f32, phase: f32| ripple((away + self.tilt * along) * steep + phase);
        match self.texture {
            Texture::Lying | Texture::Slanted => across(x, y, self.phase[0]),
            Texture::Standing => across(y, x, self.phase[0]),
            Texture::Checks => across(x, y, self.phase[0]) * across(-y, x, self.phase[1]),
            Texture::Rings => {
                let [v, u] = [y - self.centre[0], x - self.centre[1]];
                ripple((v * v + u * u).sqrt() * self.frequency + self.phase[0])
            }
        }
    }
}

/// A wave of period 1 close to a sine: a triangle, its corners rounded by a cubic.
fn ripple(phase: f32) -> f32 {
    let triangle = 4.0 * (phase - phase.floor() - 0.5).abs() - 1.0;
    triangle * (1.5 - 0.5 * triangle * triangle)
}
