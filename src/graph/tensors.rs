//! The contents of a network's arenas on the host.

use super::layout::{Layout, NodeTensors, ParamKind, Site, Slot};
use super::network::Network;
use crate::reference::random::random;

/// Purpose words of the random streams of initial weights.
const RADIUS: u32 = 0x5241_4449;
const ANGLE: u32 = 0x414e_474c;

/// Everything a network has learned, as it lies in the arenas of its [`Layout`].
#[derive(Debug, Clone, PartialEq)]
pub struct Tensors {
    /// Parameters, polynomials included.
    pub params: Vec<f32>,
    /// Running statistics and moments.
    pub state: Vec<f32>,
    /// Scores, one per element of every site.
    pub scores: Vec<f32>,
    /// Masks: 1 keeps the ReLU, 0 uses the polynomial.
    pub mask: Vec<f32>,
}

impl Tensors {
    /// All-zero arenas but for what has a neutral value: scales, running variances and masks
    /// are 1, kurtoses 3. Padding stays 0 everywhere.
    pub fn neutral(layout: &Layout) -> Self {
        let mut tensors = Tensors {
            params: vec![0.0; layout.params.len],
            state: vec![0.0; layout.state.len],
            scores: vec![0.0; layout.elements],
            mask: vec![0.0; layout.elements],
        };
        for node in &layout.nodes {
            if let NodeTensors::BatchNorm(norm) = node {
                tensors.params[layout.params.slots[norm.weight].range()].fill(1.0);
                tensors.state[layout.state.slots[norm.running_var].range()].fill(1.0);
            }
        }
        for site in &layout.sites {
            tensors.mask[site.range()].fill(1.0);
            // Of a normal distribution.
            tensors.state[layout.state.slots[site.kurtosis].range()].fill(3.0);
        }
        tensors
    }

    /// A network before training: He et al.'s normal initialisation by fan-out for
    /// convolutions, as torchvision's ResNets have it, and uniform ±1/√fan-in for linear
    /// layers, as PyTorch's default.
    pub fn initial(layout: &Layout, seed: u32) -> Self {
        let mut tensors = Self::neutral(layout);
        for (index, (slot, kind)) in (0..).zip(layout.params.slots.iter().zip(&layout.kinds)) {
            let mut fill = |draw: &dyn Fn(u32) -> f64| {
                let values = &mut tensors.params[slot.range()];
                for (element, value) in (0..).zip(values) {
                    *value = draw(element) as f32;
                }
            };
            let bits = |element, purpose| random(seed, index, element, purpose);
            // Half a step away from zero, so that the logarithm below is finite.
            let unit = |bits: u32| (f64::from(bits) + 0.5) / 4_294_967_296.0;
            match (kind, slot.shape.as_slice()) {
                (ParamKind::Weight, &[out_channels, _, height, width]) => {
                    let deviation = (2.0 / (out_channels * height * width) as f64).sqrt();
                    // Box and Muller's transform of two uniform numbers.
                    fill(&|element| {
                        let radius = (-2.0 * unit(bits(element, RADIUS)).ln()).sqrt();
                        let angle = std::f64::consts::TAU * unit(bits(element, ANGLE));
                        deviation * radius * angle.cos()
                    });
                }
                (ParamKind::Weight, &[_, in_features]) => {
                    let bound = 1.0 / (in_features as f64).sqrt();
                    fill(&|element| bound * (2.0 * unit(bits(element, RADIUS)) - 1.0));
                }
                // Norms have their neutral values, biases and polynomials are zero.
                _ => {}
            }
        }
        tensors
    }

    /// ReLUs kept at each site.
    pub fn kept(&self, layout: &Layout) -> Vec<usize> {
        let kept = |mask: &[f32]| mask.iter().filter(|m| **m != 0.0).count();
        let sites = layout.sites.iter();
        sites.map(|site| kept(&self.mask[site.range()])).collect()
    }

    /// Elements of each site whose polynomial has a square. The rest are ReLUs or lines.
    pub fn squares(&self, layout: &Layout) -> Vec<usize> {
        let of_site = |site: &Site| {
            let coefficients = self.param(&layout.params.slots[site.coefficients]);
            let channels = self.mask[site.range()].chunks_exact(site.shape.plane());
            channels
                .zip(coefficients.chunks_exact(4))
                .filter(|(_, c)| c[2] != 0.0)
                .map(|(mask, _)| mask.iter().filter(|m| **m == 0.0).count())
                .sum()
        };
        layout.sites.iter().map(of_site).collect()
    }

    /// Contents of a parameter slot.
    pub fn param(&self, slot: &Slot) -> &[f32] {
        &self.params[slot.range()]
    }
}

/// A network with its layout and what it has learned: what is exported and evaluated.
#[derive(Debug, Clone)]
pub struct Model {
    /// The graph.
    pub network: Network,
    /// Where its tensors lie.
    pub layout: Layout,
    /// What they hold.
    pub tensors: Tensors,
    /// Mean of the training pixels per colour channel, of values in 0…1.
    pub mean: [f32; 3],
    /// Their standard deviation.
    pub std: [f32; 3],
    /// Class names.
    pub classes: Vec<String>,
}
