//! The phases of a run, as far as the memory that they take goes.

use super::{dapa, methods};
use crate::data::{Crop, Placement};
use crate::gpu::Gpu;
use crate::graph::{Activations, Network};
use crate::kernels::{Compiler, Tiling};
use crate::run::mark::Phase;
use crate::settings::Settings;
use crate::step::account::Memory;
use crate::train::TrainError;
use crate::train::forecast::{Cut, Footprint, Forecast, ForecastError, Shortage, cut};
use serde::Serialize;

/// The phases that a run with these settings trains in, up to `last`.
pub fn footprints(settings: &Settings, last: Phase) -> Vec<Footprint> {
    let teacher = Footprint {
        phase: Phase::Teacher,
        activations: Activations::Relu,
        optimizer: settings.teacher.descent.optimizer,
        distil: false,
        search: false,
        lookahead: false,
        averaging: false,
    };
    let search = Footprint {
        phase: Phase::Search,
        // Methods that fit no polynomial take a few kilobytes less.
        activations: dapa::activations(&settings.search),
        optimizer: settings.search.descent.optimizer,
        distil: settings.search.distill > 0.0,
        search: methods::find(&settings.search.method).is_ok_and(|method| method.searches),
        lookahead: settings.search.lookahead_every > 0,
        ..teacher
    };
    let finish = Footprint {
        phase: Phase::Finish,
        optimizer: settings.finish.descent.optimizer,
        search: false,
        lookahead: false,
        averaging: settings.finish.average_epochs > 0.0,
        ..search
    };
    let given = !settings.teacher.from.as_os_str().is_empty();
    let mut footprints = vec![teacher, search, finish];
    footprints.retain(|footprint| {
        footprint.phase <= last && !(given && footprint.phase == Phase::Teacher)
    });
    footprints
}

/// The memory of a run, planned before it begins.
#[derive(Debug, Clone, Serialize)]
pub struct Plan {
    /// How a batch goes through the network.
    pub cut: Cut,
    /// Training images that stay on the device; none where they are streamed.
    pub resident: Option<usize>,
    /// Device memory of every phase, its validation included.
    pub phases: Vec<(Phase, Memory)>,
    /// What would fit into `memory-gib`, where the run does not.
    pub shortage: Option<Box<Shortage>>,
}

impl Plan {
    /// Plans with the limits of `gpu`, a [`Gpu::planner`], for so many training images of such a size.
    ///
    /// # Errors
    /// [`TrainError`], where a buffer is larger than the adapter allows or the settings do not
    /// fit each other.
    pub fn of(
        gpu: &Gpu,
        images: usize,
        (height, width): (usize, usize),
        settings: &Settings,
        network: &Network,
    ) -> Result<Self, TrainError> {
        // As the data set is opened; see `data::open_for_training`.
        let gib = (3 * images * height * width) as f64 / f64::from(1u32 << 30);
        let resident = match (settings.placement, settings.augment.crop) {
            (Placement::Stream, _) | (_, Crop::Resized) => None,
            (Placement::Auto, _) if gib > settings.resident_gib => None,
            _ => Some(images),
        };
        let trained_on = (images as f64 * settings.trained_share()) as usize;
        let batch = settings.batch.min(trained_on);
        let cut = cut(settings, network, batch, gpu.report.max_binding_bytes)?;
        let forecast = Forecast {
            compiler: Compiler::new(gpu, Tiling::for_adapter(gpu)),
            network,
            footprints: &footprints(settings, Phase::Finish),
            resident,
            limit: settings.memory_limit(),
        };
        let phase = |footprint: &Footprint| Ok((footprint.phase, forecast.memory(footprint, cut)?));
        Ok(Self {
            cut,
            resident,
            phases: forecast
                .footprints
                .iter()
                .map(phase)
                .collect::<Result<_, TrainError>>()?,
            shortage: match forecast.check(cut) {
                Err(ForecastError::Shortage(shortage)) => Some(shortage),
                checked => checked.map(|()| None)?,
            },
        })
    }
}
