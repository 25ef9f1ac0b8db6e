//! How kernels are tiled: one way for each class of adapter. `--kernels` chooses among them.

use crate::gpu::{AdapterClass, Gpu};
use serde::Serialize;

/// How kernels are tiled. The choice never changes what is computed, only the order of sums.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Tiling {
    /// Software Vulkan: one subgroup of `lanes` invocations is a workgroup, operands stay in
    /// registers and travel between lanes by shuffles with literal lane numbers.
    Cpu {
        /// Invocations in a subgroup: 4, 8 or 16.
        lanes: u32,
    },
    /// Any GPU: shared-memory tiles small enough for WebGPU's default limits.
    Portable,
    /// A discrete GPU: larger tiles, more registers.
    Large,
}

impl Tiling {
    /// Every tiling, with every number of lanes that the subgroup kernels are made for.
    pub const ALL: [Self; 5] = [
        Self::Portable,
        Self::Large,
        Self::Cpu { lanes: 4 },
        Self::Cpu { lanes: 8 },
        Self::Cpu { lanes: 16 },
    ];

    /// The tiling that fits an adapter.
    pub fn for_adapter(gpu: &Gpu) -> Self {
        match (gpu.class(), gpu.lanes()) {
            (AdapterClass::Software, Some(lanes @ (4 | 8 | 16))) => Tiling::Cpu { lanes },
            (AdapterClass::Software | AdapterClass::Integrated, _) => Tiling::Portable,
            (AdapterClass::Discrete, _) => Tiling::Large,
        }
    }

    /// Reads the name of a tiling as `--kernels` takes it; `cpu` asks for the adapter's lanes.
    ///
    /// # Errors
    /// A sentence for the user when the name is unknown or the adapter cannot run it.
    pub fn parse(name: &str, gpu: &Gpu) -> Result<Self, String> {
        match name {
            "auto" => Ok(Self::for_adapter(gpu)),
            "portable" => Ok(Tiling::Portable),
            "large" => Ok(Tiling::Large),
            "cpu" => match gpu.lanes() {
                Some(lanes @ (4 | 8 | 16)) => Ok(Tiling::Cpu { lanes }),
                _ => Err(format!(
                    "the preset `cpu` needs subgroups of exactly 4, 8 or 16 lanes; `{}` has {}",
                    gpu.report.name,
                    match gpu.report.subgroup {
                        None => "none".to_owned(),
                        Some((min, max)) => format!("{min} to {max}"),
                    }
                )),
            },
            other => Err(format!(
                "unknown kernel preset `{other}`: choose among auto, cpu, portable, large"
            )),
        }
    }

    /// Invocations in a workgroup of the kernels that stream through memory.
    pub fn workgroup(self) -> u32 {
        match self {
            Tiling::Cpu { lanes } => lanes,
            Tiling::Portable => 64,
            Tiling::Large => 256,
        }
    }

    /// Invocations that keep the whole adapter busy: reductions are cut into slices until
    /// they have about this many.
    pub fn target_invocations(self) -> u32 {
        match self {
            // Two to sixteen cores; more slices only cost a longer second pass.
            Tiling::Cpu { lanes } => 16 * lanes,
            Tiling::Portable => 16_384,
            Tiling::Large => 131_072,
        }
    }
}

impl std::fmt::Display for Tiling {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Tiling::Cpu { lanes } => write!(f, "cpu ({lanes} lanes)"),
            Tiling::Portable => f.write_str("portable"),
            Tiling::Large => f.write_str("large"),
        }
    }
}
