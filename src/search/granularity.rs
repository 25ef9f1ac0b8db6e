//! What a search keeps or drops as one: elements, channels or sites.

use crate::graph::Layout;
use crate::kernels::squares;
use crate::settings::Granularity;
use std::ops::Range;

/// Runs of elements in the score arena that are kept or dropped together, in order.
pub fn runs(layout: &Layout, granularity: Granularity) -> Vec<Range<usize>> {
    let runs = layout.sites.iter().flat_map(|site| {
        let length = match granularity {
            Granularity::Element => 1,
            Granularity::Channel => site.shape.plane(),
            Granularity::Site => site.shape.len(),
        };
        let firsts = site.range().step_by(length);
        firsts.map(move |first| first..first + length)
    });
    runs.collect()
}

/// Channels that keep or lose the squares of their polynomials together: single ones, but where
/// whole sites are chosen those of a site.
pub fn squares(layout: &Layout, granularity: Granularity) -> Vec<squares::Group> {
    let groups = (0..).zip(&layout.sites).flat_map(|(index, site)| {
        let together = match granularity {
            Granularity::Element | Granularity::Channel => 1,
            Granularity::Site => site.shape.channels,
        };
        let coefficients = layout.params.slots[site.coefficients].offset / 4;
        let moments = layout.state.slots[site.moments].offset / 2;
        let firsts = (0..site.shape.channels).step_by(together);
        firsts.map(move |first| squares::Group {
            first_element: (site.offset + first * site.shape.plane()) as u32,
            elements: (together * site.shape.plane()) as u32,
            first_coefficient: (coefficients + first) as u32,
            channels: together as u32,
            first_moment: (moments + first) as u32,
            site: index,
            padding: [0; 2],
        })
    });
    groups.collect()
}
