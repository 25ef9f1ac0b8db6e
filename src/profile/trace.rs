//! A timeline in the Trace Event Format, which Chrome's `about:tracing` and Perfetto read.

use super::report::Slice;
use crate::step::account::Pass;
use serde_json::{Value, json};
use std::time::Duration;

/// A trace with a track for every part of the step; each slice bears its layer's name.
pub fn trace<'a>(title: &str, slices: impl Iterator<Item = Slice<'a>>) -> Value {
    let process = json!({
        "name": "process_name", "ph": "M", "pid": 1, "args": { "name": title },
    });
    let tracks = Pass::ALL.iter().flat_map(|pass| {
        let track = *pass as u32 + 1;
        [
            json!({
                "name": "thread_name", "ph": "M", "pid": 1, "tid": track,
                "args": { "name": pass.to_string() },
            }),
            json!({
                "name": "thread_sort_index", "ph": "M", "pid": 1, "tid": track,
                "args": { "sort_index": track },
            }),
        ]
    });
    let events = slices.map(|slice| {
        let work = slice.work;
        json!({
            "name": work.layer,
            "cat": work.kernel,
            "ph": "X",
            "pid": 1,
            "tid": work.pass as u32 + 1,
            "ts": microseconds(slice.start),
            "dur": microseconds(slice.duration),
            "args": {
                "kernel": format!("{}.{}", work.kernel, work.entry),
                "flops": work.cost.flops,
                "bytes": work.cost.bytes,
            },
        })
    });
    let events: Vec<Value> = std::iter::once(process)
        .chain(tracks)
        .chain(events)
        .collect();
    json!({ "displayTimeUnit": "ms", "traceEvents": events })
}

fn microseconds(time: Duration) -> f64 {
    time.as_nanos() as f64 / 1e3
}
