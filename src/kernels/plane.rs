//! How kernels with one set of constants per channel walk over N×C×P: the host's side of
//! `shaders/common/plane.wgsl`.

use super::compile::{MAX_GRID, Tiling, vector_width};
use minijinja::{Value, context};

/// Shape of an activation as these kernels see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Shape {
    /// Images N.
    pub batch: usize,
    /// Channels C.
    pub channels: usize,
    /// Pixels of a plane, H·W.
    pub pixels: usize,
}

impl Shape {
    /// Elements.
    pub fn len(&self) -> usize {
        self.batch * self.channels * self.pixels
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Values of a channel: N·P.
    pub fn count(&self) -> usize {
        self.batch * self.pixels
    }
}

impl std::fmt::Display for Shape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}×{}×{}", self.batch, self.channels, self.pixels)
    }
}

/// Shapes for permutations: planes that fill vectors, workgroups and slices, and planes that do
/// not.
pub(super) fn permutation_shapes() -> impl Iterator<Item = Shape> {
    let shapes = [
        (1, 1, 1),
        (5, 3, 49),
        (2, 16, 1024),
        (33, 2, 64),
        (70, 4, 4),
        (128, 64, 256),
    ];
    shapes.into_iter().map(|(batch, channels, pixels)| Shape {
        batch,
        channels,
        pixels,
    })
}

/// Most images of a slice on a CPU.
pub(super) const MOST_IMAGES: usize = 8;

/// The constants of `common/plane.wgsl`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Walk {
    pub batch: usize,
    pub channels: usize,
    /// Plane in vectors.
    pub plane: usize,
    /// Elements of a vector.
    pub width: usize,
    /// Positions that an invocation owns at a time.
    pub unroll: usize,
    /// Times that a workgroup moves on along its chunk of the plane.
    pub rounds: usize,
    /// Workgroups along a plane.
    pub chunks: usize,
    /// Invocations along a plane, a power of two.
    pub lanes_p: usize,
    /// Invocations along the images, a power of two.
    pub lanes_n: usize,
    /// Workgroups along the images.
    pub slices: usize,
    /// Images of a slice.
    pub images: usize,
    /// Whether a workgroup is one subgroup.
    pub subgroup: bool,
}

impl Walk {
    /// A walk in which an invocation owns its positions of the plane while it visits the images
    /// of its slice: at most `images` of them on a CPU, where [`Self::along_images`] tells why.
    pub fn owning(tiling: Tiling, shape: Shape, images: usize) -> Self {
        let sweep = Self::of(tiling, shape);
        let pieces = sweep.plane.div_ceil(sweep.lanes_p);
        let walk = match tiling {
            // A CPU likes long runs of memory, hence several positions a lane, and few workgroups,
            // each of which must load constants and hand over sums.
            Tiling::Cpu { .. } => {
                let rounds = pieces.div_ceil(4);
                Self {
                    rounds,
                    unroll: pieces.div_ceil(rounds),
                    ..sweep
                }
            }
            // A GPU likes many invocations, each with one position unless the grid would become
            // too long.
            _ => {
                let rounds = pieces.div_ceil((MAX_GRID / shape.channels.max(1)).max(1));
                Self {
                    rounds,
                    chunks: pieces.div_ceil(rounds.max(1)),
                    ..sweep
                }
            }
        };
        walk.along_images(tiling, images)
    }

    /// A walk in which a workgroup visits the whole plane of its channel, image by image.
    pub fn sweeping(tiling: Tiling, shape: Shape) -> Self {
        Self::of(tiling, shape).along_images(tiling, MOST_IMAGES)
    }

    /// A workgroup a channel.
    fn of(tiling: Tiling, shape: Shape) -> Self {
        let width = vector_width(shape.pixels);
        let plane = shape.pixels / width;
        Self {
            batch: shape.batch,
            channels: shape.channels,
            plane,
            width,
            unroll: 1,
            rounds: 1,
            chunks: 1,
            lanes_p: plane.next_power_of_two().min(tiling.workgroup() as usize),
            lanes_n: 1,
            slices: 1,
            images: shape.batch,
            subgroup: matches!(tiling, Tiling::Cpu { .. }),
        }
    }

    /// Cuts the images so that the adapter is busy and every invocation still has eight of
    /// them, for what it hands over at the end to be small beside what it read.
    ///
    /// A CPU wants no more than `most`, nor more than four of small planes: the images lie a power
    /// of two apart, so that what its prefetchers fetch beyond the end of each image's piece falls
    /// into the same few sets of its caches. It must be used, in the next round or by the next
    /// workgroup, before it is pushed out. Planes smaller than a workgroup leave little beyond
    /// their end.
    fn along_images(self, tiling: Tiling, most: usize) -> Self {
        let along_plane = self.channels * self.chunks * self.lanes_p;
        let room = tiling.workgroup() as usize / self.lanes_p;
        let wanted = (tiling.target_invocations() as usize).div_ceil(along_plane);
        let busy = wanted.clamp(1, (self.batch / 8).max(1));
        let (cuts, lanes_n) = match tiling {
            Tiling::Cpu { .. } if room == 1 => {
                let images = if self.plane >= 256 {
                    most
                } else {
                    most.min(MOST_IMAGES / 2)
                };
                (self.batch.div_ceil(images), 1)
            }
            // A workgroup is one subgroup: idle lanes cost as much as busy ones.
            Tiling::Cpu { .. } => (busy, room),
            _ => (busy, busy.next_power_of_two().min(room)),
        };
        let images = self.batch.div_ceil(cuts.div_ceil(lanes_n)).max(1);
        Self {
            lanes_n,
            slices: self.batch.div_ceil(images),
            images,
            ..self
        }
    }

    /// Whether positions past the plane's end occur.
    fn ragged(&self) -> bool {
        self.plane != self.lanes_p * self.unroll * self.rounds * self.chunks
    }

    /// Partial sums of a channel.
    pub fn parts(&self) -> usize {
        self.slices * self.chunks
    }

    /// Workgroups.
    pub fn grid(&self) -> [u32; 3] {
        [(self.channels * self.chunks) as u32, self.slices as u32, 1]
    }

    /// Flops of what `workgroup_sum` of `common/plane.wgsl` adds up: so many vec4s, of so many vectors.
    pub fn flops_of_sums(&self, vec4s: usize, vectors: usize) -> f64 {
        let lanes = self.lanes_p * self.lanes_n;
        let sum = match self.subgroup {
            true => 4 * lanes * lanes.ilog2() as usize,
            false => 4 * (lanes - 1),
        };
        // A vector's components are added by a dot product.
        let total = if self.width == 1 {
            0
        } else {
            2 * self.width - 1
        };
        let groups: usize = self.grid().iter().map(|&n| n as usize).product();
        (groups * (vec4s * sum + vectors * lanes * total)) as f64
    }

    /// The constants of the walk beside those of the family.
    pub fn with(&self, family: Value) -> Value {
        let walk = context! {
            batch => self.batch,
            channels => self.channels,
            plane => self.plane,
            width => self.width,
            unroll => self.unroll,
            rounds => self.rounds,
            chunks => self.chunks,
            lanes_p => self.lanes_p,
            lanes_n => self.lanes_n,
            slices => self.slices,
            images => self.images,
            subgroup => self.subgroup,
            ragged => self.ragged(),
        };
        context! { ..walk, ..family }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_grid_is_too_long() {
        let images = [(1, 64, 1024 * 1024), (2, 16, 4096 * 4096), (1, 33_000, 257)];
        for (batch, channels, pixels) in images {
            let shape = Shape {
                batch,
                channels,
                pixels,
            };
            for tiling in [Tiling::Portable, Tiling::Large] {
                let walk = Walk::owning(tiling, shape, MOST_IMAGES);
                let most = walk.grid().map(|n| n as usize).into_iter().max();
                assert!(most <= Some(MAX_GRID), "{tiling} {shape}: {walk:?}");
                // Still the whole plane, and no round for nothing.
                let round = walk.lanes_p * walk.unroll * walk.chunks;
                assert!(walk.plane <= round * walk.rounds, "{walk:?}");
                assert!(walk.plane > round * (walk.rounds - 1), "{walk:?}");
            }
        }
        // Where all fits there is one round.
        let shape = Shape {
            batch: 256,
            channels: 64,
            pixels: 32 * 32,
        };
        assert_eq!(Walk::owning(Tiling::Large, shape, MOST_IMAGES).rounds, 1);
    }
}
