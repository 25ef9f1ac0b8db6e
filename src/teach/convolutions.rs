//! One convolution written three times: each text keeps what the one before fetched again and again.
//!
//! All compute the same sums of the same shape, so that their times and what is counted stand side by side. What
//! is counted is one image's, since the emulator takes its time; a time is that of several.

use super::case::{Case, CaseBuffer, noise, wide};
use super::judge::{Tally, emulate};
use crate::gpu::{Gpu, GpuError};
use crate::kernels::{Compiler, Tiling, conv2d};
use crate::reference as twin;
use serde::Serialize;

/// Images that are timed together.
const TIMED: usize = 4;

/// A version.
#[derive(Debug, Clone, Copy)]
pub struct Version {
    /// Its name in addresses.
    pub name: &'static str,
    /// What it is called.
    pub title: &'static str,
    /// What it changes, in two sentences.
    pub change: &'static str,
    /// Where the page has it to be changed.
    pub place: &'static str,
    /// Its text and its workgroups for one image; `None`: the program's own kernel.
    text: Option<(&'static str, [u32; 3])>,
}

/// The three, from the plainest on.
pub const VERSIONS: &[Version] = &[
    Version {
        name: "direct",
        title: "Direct",
        change: "An invocation owns one output. For every product it fetches both operands from a buffer.",
        place: "#/puzzles/convolution",
        text: Some((
            include_str!("../../assets/teach/convolutions/direct.wgsl"),
            [4, 64, 1],
        )),
    },
    Version {
        name: "tiles",
        title: "Shared-memory tiles",
        change: "A workgroup brings a patch of every channel and its weights into workgroup memory, once, and waits \
                 at a barrier. Products then read from there: far fewer loads from buffers, but still two reads for \
                 a product.",
        place: "#/puzzles/tiles",
        text: Some((
            include_str!("../../assets/teach/convolutions/tiles.wgsl"),
            [4, 4, 16],
        )),
    },
    Version {
        name: "registers",
        title: "Register tiles",
        change: "An invocation owns a block of outputs and keeps their sums in registers. A word that it reads from \
                 workgroup memory then serves a whole row or column of that block: this is what the program runs.",
        place: "#/lab/conv2d_tiled.gather",
        text: None,
    },
];

/// A version with what the emulator counts of it.
#[derive(Debug, Clone, Serialize)]
pub struct Counted {
    /// Its name in addresses.
    pub name: &'static str,
    /// What it is called.
    pub title: &'static str,
    /// What it changes.
    pub change: &'static str,
    /// Where the page has it to be changed.
    pub place: &'static str,
    /// The WGSL.
    pub wgsl: String,
    /// Invocations of a workgroup.
    pub lanes: u32,
    /// What one image takes.
    pub tally: Tally,
    /// Outputs of one image.
    pub outputs: usize,
    /// Images that are timed together.
    pub timed: usize,
}

/// The version of this name.
pub fn find(name: &str) -> Option<&'static Version> {
    VERSIONS.iter().find(|version| version.name == name)
}

impl Version {
    /// What is emulated: one image.
    ///
    /// # Errors
    /// [`GpuError::Compile`] where the program's kernel does not expand: a defect.
    pub fn counted(&self) -> Result<Option<Case>, GpuError> {
        self.case(1)
    }

    /// What is timed: several images.
    ///
    /// # Errors
    /// As [`Version::counted`].
    pub fn timed(&self) -> Result<Option<Case>, GpuError> {
        self.case(TIMED)
    }

    /// The version with what the emulator counts; `None` where it does not run: a test runs all.
    ///
    /// # Errors
    /// As [`Version::counted`].
    pub fn count(&self) -> Result<Option<Counted>, GpuError> {
        let Some(case) = self.counted()? else {
            return Ok(None);
        };
        let emulated = emulate(&case).ok();
        Ok(emulated.filter(|e| e.passes()).map(|emulated| Counted {
            name: self.name,
            title: self.title,
            change: self.change,
            place: self.place,
            wgsl: case.stages[case.edited].source.clone(),
            lanes: emulated.accesses.lanes,
            tally: emulated.tally,
            outputs: SHAPE.out_channels * SHAPE.height * SHAPE.width,
            timed: TIMED,
        }))
    }

    fn case(&self, batch: usize) -> Result<Option<Case>, GpuError> {
        let shape = conv2d::Shape { batch, ..SHAPE };
        let buffers = buffers(&shape);
        let Some((text, [x, y, z])) = self.text else {
            let gpu = Gpu::null();
            let recipe = conv2d::forward(&Compiler::new(&gpu, Tiling::Portable), &shape)?;
            let case = Case::of_recipe(&recipe, buffers);
            return Ok(case.map(|case| {
                // What it packs before is not the convolution.
                let last = case.stages.len() - 1;
                Case {
                    edited: last,
                    ..case
                }
            }));
        };
        let grid = [x, y, z * batch as u32];
        Ok(Some(Case::single(text, "main", grid, buffers)))
    }
}

/// One image of all.
const SHAPE: conv2d::Shape = conv2d::Shape {
    batch: 1,
    in_channels: 16,
    out_channels: 16,
    height: 32,
    width: 32,
    kernel: 3,
    stride: 1,
    padding: 1,
};

fn buffers(shape: &conv2d::Shape) -> Vec<CaseBuffer> {
    let [n, c, k, h, w] = [
        shape.batch,
        shape.in_channels,
        shape.out_channels,
        shape.height,
        shape.width,
    ];
    let (x, weights) = (noise(31, n * c * h * w), noise(32, k * c * 9));
    let twin_shape = twin::conv2d::Shape {
        batch: n,
        in_channels: c,
        out_channels: k,
        size: (h, w),
        kernel: shape.kernel,
        stride: shape.stride,
        padding: shape.padding,
    };
    let y = twin::conv2d::forward(&twin_shape, &wide(&x), &wide(&weights));
    vec![
        CaseBuffer::given("x", &[n, c, h, w], &x),
        CaseBuffer::given("w", &[k, c, 3, 3], &weights),
        CaseBuffer::wanted("y", &[n, k, h, w], y),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_version_fetches_less_than_the_one_before() {
        let counted: Vec<Counted> = VERSIONS
            .iter()
            .map(|version| version.count().unwrap().expect(version.name))
            .collect();
        let [direct, tiles, registers] = counted.as_slice() else {
            panic!("three versions");
        };
        assert!(4 * tiles.tally.loads < direct.tally.loads);
        assert_eq!(direct.tally.workgroup_loads, 0);
        assert!(2 * registers.tally.workgroup_loads < tiles.tally.workgroup_loads);
        for version in &counted {
            // Every output is stored once, by a store of one word or of four.
            assert!(
                (4_096..=16_384).contains(&version.tally.stores),
                "{}",
                version.name
            );
            assert_eq!(version.outputs, 16_384);
        }
    }

    #[test]
    fn what_is_timed_is_right_too() {
        for version in VERSIONS {
            // Two show whether images are told apart, and take less time than all that are timed.
            let emulated = emulate(&version.case(2).unwrap().unwrap()).unwrap();
            assert!(emulated.passes(), "{}", version.name);
        }
    }
}
