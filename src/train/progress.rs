//! Progress bars, for those who watch.

use crate::run::mark::Phase;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Draws how far the compilation of shaders has come, where it takes long enough to be seen.
pub(super) fn compile_bar(visible: bool) -> impl Fn(usize, usize) + Send + Sync + 'static {
    let bar = ProgressBar::with_draw_target(None, draw_target(visible));
    if let Ok(style) = ProgressStyle::with_template("{prefix:>8} {wide_bar} {pos}/{len} shaders") {
        bar.set_style(style);
    }
    bar.set_prefix("compile");
    move |done, total| {
        if done < total {
            bar.set_length(total as u64);
            bar.set_position(done as u64);
        } else {
            bar.finish_and_clear();
            bar.reset();
        }
    }
}

/// Where progress bars go.
fn draw_target(visible: bool) -> ProgressDrawTarget {
    match visible {
        true => ProgressDrawTarget::stderr_with_hz(4),
        false => ProgressDrawTarget::hidden(),
    }
}

/// Draws how far a phase has come.
pub(super) fn phase_bar(visible: bool, phase: Phase, steps: u64) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(steps), draw_target(visible));
    let template = "{prefix:>8} {wide_bar} {pos}/{len} steps, {eta} left, {msg}";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.set_prefix(phase.to_string());
    bar
}
