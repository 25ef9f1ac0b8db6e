//! What training carries from step to step beside the network itself: moments, slow and averaged
//! weights, scores of squares.

use super::account::Memory;
use super::scoring::Scoring;
use super::spec::TrainSpec;
use crate::gpu::{Buffer, Gpu, GpuError};
use crate::graph::Arenas;
use crate::settings::Optimizer;

/// Name of the buffer with the optimiser's mean of gradients.
pub(super) const FIRST_MOMENT: &str = "first-moment";
/// Name of the buffer with its mean of their squares.
pub(super) const SECOND_MOMENT: &str = "second-moment";
/// Name of the buffer with the mean of the scores' gradients.
pub(super) const SCORE_FIRST_MOMENT: &str = "score-first-moment";
/// Name of the buffer with the mean of their squares.
pub(super) const SCORE_SECOND_MOMENT: &str = "score-second-moment";
/// Name of the buffer with Lookahead's slow weights.
pub(super) const SLOW: &str = "slow";
/// Name of the buffer with averaged parameters.
const AVERAGED: &str = "averaged";
/// Name of the buffer with averaged running statistics.
const AVERAGED_STATE: &str = "averaged-state";
/// Name of the buffer with scores of squares: vec4 (score, Adam's moments, 1 where there is a
/// square) by group.
pub const SQUARES: &str = "squares";
/// Name of the buffer with the ledger, see
/// [`Prices::ledger`](crate::kernels::metrics::Prices::ledger).
pub(super) const LEDGER: &str = "ledger";

/// What training carries from step to step beside the network itself. All are f32 arenas with
/// the network's layout; a checkpoint holds every one that exists.
pub struct Carried {
    /// Names and buffers, in a fixed order.
    pub buffers: Vec<(&'static str, Buffer)>,
    /// The averaged network, where the spec asked for one.
    pub averaged: Option<Arenas>,
}

impl Carried {
    /// Allocates what `spec` asks for, as it is before the first step.
    pub(super) fn new(gpu: &Gpu, spec: &TrainSpec) -> Result<Self, GpuError> {
        let (layout, arenas) = (spec.student.layout, spec.student.arenas);
        let zeros = |what: &str, len: usize| gpu.upload(what, &vec![0f32; len.max(1)]);
        let params = layout.params.len;
        let mut buffers = vec![(FIRST_MOMENT, zeros("first moment", params)?)];
        if spec.optimizer != Optimizer::Sgd {
            buffers.push((SECOND_MOMENT, zeros("second moment", params)?));
        }
        if let Some(search) = spec.search {
            for (name, has) in [
                (SCORE_FIRST_MOMENT, search.rule.has_first_moment()),
                (SCORE_SECOND_MOMENT, search.rule.has_second_moment()),
            ] {
                if has {
                    buffers.push((name, zeros("score moment", layout.elements)?));
                }
            }
            let ledger = search.prices.ledger(&Scoring::start(layout));
            buffers.push((LEDGER, gpu.upload("ledger", &ledger)?));
            if let Some(squares) = &search.squares {
                let states = squares.scores.iter().map(|&score| [score, 0.0, 0.0, 1.0]);
                let states: Vec<[f32; 4]> = states.collect();
                buffers.push((SQUARES, gpu.upload("scores of squares", &states)?));
            }
        }
        let start = |arena: &Buffer| -> Result<Vec<f32>, GpuError> { gpu.read(&arena.view()) };
        if spec.lookahead {
            buffers.push((SLOW, gpu.upload("slow weights", &start(&arenas.params)?)?));
        }
        let averaged = match spec.averaging {
            false => None,
            true => Some(Arenas {
                params: gpu.upload("averaged weights", &start(&arenas.params)?)?,
                state: gpu.upload("averaged statistics", &start(&arenas.state)?)?,
                ..arenas.clone()
            }),
        };
        if let Some(averaged) = &averaged {
            buffers.push((AVERAGED, averaged.params.clone()));
            buffers.push((AVERAGED_STATE, averaged.state.clone()));
        }
        Ok(Self { buffers, averaged })
    }

    /// The buffer of that name, where it exists.
    pub fn get(&self, name: &str) -> Option<&Buffer> {
        let mut buffers = self.buffers.iter();
        buffers.find(|(n, _)| *n == name).map(|(_, buffer)| buffer)
    }

    /// Adds what it takes to the account of `spec`. Arenas are padded; what is needed are the
    /// elements that tensors have.
    pub(super) fn account(&self, spec: &TrainSpec, memory: &mut Memory) {
        let layout = spec.student.layout;
        for (name, buffer) in &self.buffers {
            let elements = match *name {
                AVERAGED_STATE => layout.state.elements(),
                SQUARES | LEDGER => buffer.bytes() as usize / 4,
                SCORE_FIRST_MOMENT | SCORE_SECOND_MOMENT => spec.student.network.relu_total(),
                _ => layout.params.elements(),
            };
            memory
                .optimizer
                .add_padded(buffer.bytes(), 4 * elements as u64);
        }
    }
}
