//! What schedulers are asked for, beside the commands.

use std::num::NonZeroUsize;

/// What a scheduler is asked for.
#[derive(clap::Args, Debug, Default)]
pub struct Cluster {
    /// Slurm: the partition.
    #[arg(long, value_name = "NAME")]
    pub partition: Option<String>,
    /// GPUs of a run: a number, for Slurm also TYPE:N, for HyperQueue also a fraction (0.5). 0: none.
    /// Without this 1.
    #[arg(long, value_name = "N")]
    pub gpus: Option<String>,
    /// Time of a run, as HH:MM:SS; under Slurm one that needs more goes on in another job.
    #[arg(long, value_name = "TIME")]
    pub time_limit: Option<String>,
    /// Slurm: memory of a run. Without this what is planned for the device, the images, and 2 GiB.
    #[arg(long, value_name = "GIB")]
    pub mem_gib: Option<NonZeroUsize>,
    /// Any other option of `sbatch` or `hq submit`, as --pass=--account=NAME.
    #[arg(long, value_name = "OPTION", allow_hyphen_values = true)]
    pub pass: Vec<String>,
}

impl Cluster {
    /// Options that only schedulers understand.
    pub fn is_asked_for(&self) -> bool {
        let Self {
            partition,
            gpus,
            time_limit,
            mem_gib,
            pass,
        } = self;
        let named = [partition, gpus, time_limit]
            .iter()
            .any(|option| option.is_some());
        named || mem_gib.is_some() || !pass.is_empty()
    }
}
