//! Where a phase stands between two steps, and how a checkpoint says so.

use crate::run::checkpoint::{Checkpoint, CheckpointError};
use crate::run::mark::{Mark, Phase};
use crate::run::metrics::Record;
use crate::step::Evaluation;
use std::collections::BTreeMap;

/// Sums over the steps of an epoch so far.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Sums {
    /// Cross-entropy.
    pub(super) ce: f64,
    /// Distillation.
    pub(super) kd: f64,
    /// Images whose label came first.
    pub(super) hits: f64,
    /// Images.
    pub(super) images: f64,
}

impl Sums {
    /// Whether any step was taken.
    pub(super) fn begun(&self) -> bool {
        self.images > 0.0
    }
}

/// Where a phase stands between two steps: all of it is in every checkpoint.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Standing {
    /// Steps taken.
    pub(super) step: u64,
    /// Sums over the epoch so far.
    pub(super) sums: Sums,
    /// ReLUs kept.
    pub(super) kept: u32,
    /// The best validation so far.
    pub(super) best: Option<Evaluation>,
    /// Seconds of training, over all processes of the run.
    pub(super) seconds: f64,
}

/// What a checkpoint says beside the network and its training's arenas.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Saved {
    /// Where its phase stands.
    pub(super) standing: Standing,
    /// Seconds since the run began, over all its processes.
    pub(super) wall_seconds: f64,
    /// Training speed of the phases that are over, in images per second.
    pub(super) speeds: BTreeMap<Phase, f64>,
}

/// Where a checkpoint keeps the images of the epoch so far.
const IMAGES: &str = "sum3";

/// Where a checkpoint keeps the speed of a phase that is over.
fn speed_key(phase: Phase) -> String {
    format!("speed_{phase}")
}

impl Saved {
    /// Adds it to the metadata of a checkpoint.
    pub(super) fn write(&self, metadata: &mut BTreeMap<String, String>) {
        let Standing {
            step,
            sums,
            kept,
            best,
            seconds,
        } = self.standing;
        let best = best.unwrap_or_default();
        let mut put = |key: &str, value: String| metadata.insert(key.to_owned(), value);
        put("step", step.to_string());
        put("kept", kept.to_string());
        put("best_images", best.images.to_string());
        put("best_astray", best.astray.to_string());
        let mut put_bits = |key: &str, value: f64| {
            // As bits: a resumed run must not differ in the last place.
            put(key, value.to_bits().to_string());
        };
        put_bits("sum0", sums.ce);
        put_bits("sum1", sums.kd);
        put_bits("sum2", sums.hits);
        put_bits(IMAGES, sums.images);
        put_bits("best_loss", best.loss);
        put_bits("best_top1", best.top1);
        put_bits("best_top5", best.top5);
        put_bits("training_seconds", seconds);
        put_bits("wall_seconds", self.wall_seconds);
        for (&phase, &speed) in &self.speeds {
            put_bits(&speed_key(phase), speed);
        }
    }

    /// Reads what [`Saved::write`] wrote.
    ///
    /// # Errors
    /// [`CheckpointError::Entry`] when the checkpoint was not written within a phase.
    pub(super) fn read(checkpoint: &Checkpoint) -> Result<Self, CheckpointError> {
        let bits = |key: &str| -> Result<f64, CheckpointError> {
            Ok(f64::from_bits(checkpoint.entry::<u64>(key)?))
        };
        let standing = Standing {
            step: checkpoint.entry("step")?,
            sums: Sums {
                ce: bits("sum0")?,
                kd: bits("sum1")?,
                hits: bits("sum2")?,
                images: bits(IMAGES)?,
            },
            kept: checkpoint.entry("kept")?,
            best: match checkpoint.entry::<usize>("best_images")? {
                0 => None,
                images => Some(Evaluation {
                    loss: bits("best_loss")?,
                    top1: bits("best_top1")?,
                    top5: bits("best_top5")?,
                    images,
                    astray: checkpoint.entry("best_astray")?,
                }),
            },
            seconds: bits("training_seconds")?,
        };
        let mut speeds = BTreeMap::new();
        for phase in Phase::ALL {
            let key = speed_key(phase);
            if checkpoint.metadata.contains_key(&key) {
                speeds.insert(phase, bits(&key)?);
            }
        }
        Ok(Self {
            standing,
            wall_seconds: bits("wall_seconds")?,
            speeds,
        })
    }
}

/// Whether a record was in the log when `checkpoint` was taken at `mark`.
///
/// A checkpoint may lie between an epoch's last step and its validation: the epoch's record
/// bears the same mark, but was written later.
pub(super) fn logged_before(checkpoint: &Checkpoint, mark: Mark) -> impl Fn(&Record) -> bool {
    let images: Option<u64> = checkpoint.entry(IMAGES).ok();
    let within_epoch = images.is_some_and(|bits| f64::from_bits(bits) > 0.0);
    move |record| {
        let validated = record.scalars.contains_key("val_top1");
        record.mark() < mark || record.mark() == mark && !(within_epoch && validated)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A standing in which no two numbers are alike.
    fn saved() -> Saved {
        Saved {
            standing: Standing {
                step: 40,
                sums: Sums {
                    ce: 0.1,
                    kd: 1.0 / 3.0,
                    hits: 77.0,
                    images: 128.0,
                },
                kept: 1433,
                best: Some(Evaluation {
                    loss: 0.7,
                    top1: 0.61,
                    top5: 0.93,
                    images: 500,
                    astray: 2,
                }),
                seconds: 12.5,
            },
            wall_seconds: 99.25,
            speeds: [(Phase::Teacher, 310.0)].into(),
        }
    }

    fn checkpoint(saved: &Saved) -> Checkpoint {
        let mut checkpoint = Checkpoint::default();
        saved.write(&mut checkpoint.metadata);
        checkpoint
    }

    #[test]
    fn what_is_written_is_read_again() {
        let saved = saved();
        assert_eq!(Saved::read(&checkpoint(&saved)).unwrap(), saved);
        assert!(Saved::read(&Checkpoint::default()).is_err());
    }

    #[test]
    fn a_checkpoint_before_a_validation_does_not_know_its_record() {
        let mark = Mark::new(Phase::Search, 40);
        let record = |step, name: &str| Record::new(Mark::new(Phase::Search, step), [(name, 0.5)]);
        for (images, knows_validation) in [(0.0f64, true), (128.0, false)] {
            let mut saved = saved();
            saved.standing.sums.images = images;
            let checkpoint = checkpoint(&saved);
            let logged = logged_before(&checkpoint, mark);
            assert!(logged(&record(20, "val_top1")));
            assert!(logged(&record(40, "loss_ce")));
            assert_eq!(logged(&record(40, "val_top1")), knows_validation);
            assert!(!logged(&record(41, "loss_ce")));
        }
    }
}
