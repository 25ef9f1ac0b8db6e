//! The images of an epoch, step by step: resident ones are named by their order once; streamed
//! ones are uploaded before each step.

use super::error::StepError;
use crate::data::loader::{Loader, Variation};
use crate::data::{Resident, Source};
use crate::gpu::{Fence, Gpu, View};
use crate::kernels::step::StepScalars;

use std::collections::VecDeque;
use std::sync::Arc;

/// Steps whose images may be on their way to the device at a time, so that uploads overlap
/// computation but do not pile up in host memory.
const UPLOADS: usize = 3;

/// The images of an epoch, and how far it has come.
pub struct Epoch<'a> {
    /// The images, in order.
    pub order: &'a [u32],
    /// The first of them that has not been seen.
    pub first: usize,
    /// Images of a step.
    pub batch: usize,
    /// How training images are varied, where that is the host's task.
    pub variation: Option<Variation>,
}

/// The images of an epoch, under way.
pub enum Feed<'a> {
    /// The device knows the order.
    Resident,
    /// A batch at a time.
    Streamed {
        /// Where the next batch goes.
        window: &'a Resident,
        /// Where it comes from.
        loader: Loader,
        /// Ends of the uploads under way.
        uploads: VecDeque<Fence>,
    },
}

impl<'a> Feed<'a> {
    /// Begins an epoch; `order_view` is what kernels read the order from.
    pub fn begin(gpu: &Gpu, source: &'a Source, order_view: &View, epoch: &Epoch) -> Self {
        let Epoch {
            order,
            first,
            batch,
            variation,
        } = *epoch;
        match source {
            Source::Resident(_) => {
                gpu.write(order_view, order);
                Feed::Resident
            }
            Source::Streamed { files, window } => {
                // Sample n of a batch is image n of the window.
                let numbers: Vec<u32> = (0..window.len as u32).collect();
                gpu.write(order_view, &numbers);
                let order = order.get(first..).unwrap_or_default().to_vec();
                Feed::Streamed {
                    window,
                    loader: Loader::start(Arc::clone(files), order, batch, variation),
                    uploads: VecDeque::new(),
                }
            }
        }
    }

    /// Has the images of the next step in place, and changes its scalars to name them.
    ///
    /// # Errors
    /// [`StepError`] when too many files are no images, or the device is lost.
    pub fn next(&mut self, gpu: &Gpu, scalars: &mut StepScalars) -> Result<(), StepError> {
        let Feed::Streamed {
            window,
            loader,
            uploads,
        } = self
        else {
            return Ok(());
        };
        uploads.push_back(gpu.fence());
        if uploads.len() > UPLOADS
            && let Some(oldest) = uploads.pop_front()
        {
            gpu.wait_for(&oldest)?;
        }
        let Some(batch) = loader.next().transpose()? else {
            return Err(StepError::RanOut);
        };
        window.write(gpu, &batch.pixels, &batch.labels);
        scalars.first = 0;
        scalars.count = batch.labels.len() as u32;
        loader.recycle(batch);
        Ok(())
    }
}
