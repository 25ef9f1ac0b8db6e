//! Polynomials: what replaces a ReLU, and when it is refitted.
//!
//! The moments of each channel's pre-activation are exponential averages. While a search is
//! young the coefficients are overwritten by the closed form every few steps; later they are
//! trained like any parameter. The arithmetic is `shaders/dapa.wgsl`.

use crate::graph::{Activations, Layout, Tensors};
use crate::kernels::dapa::{Fit, Form};
use crate::settings::{Polynomial, Search};

/// How polynomials follow their inputs in a search with these settings; `None` where they do not.
pub fn fit(settings: &Search) -> Option<Fit> {
    let form = match settings.polynomial {
        Polynomial::Exact => Form::Exact {
            limit: settings.curvature_limit,
        },
        // The published code has no bound on the trained quadratic term but an optional clamp;
        // its fit is far below the exact one, so the bound would bind at once.
        Polynomial::Official => Form::Official {
            scale_x2: settings.scale_x2,
        },
        Polynomial::Hermite => Form::Hermite,
        Polynomial::Identity => return None,
    };
    Some(Fit {
        degree: settings.degree,
        form,
    })
}

/// What the plan's sites do in a search with these settings.
pub fn activations(settings: &Search) -> Activations {
    let fit = fit(settings);
    Activations::Gate {
        fit,
        degree: fit.map_or(0, |fit| fit.degree),
        slopes: false,
    }
}

/// Sets every polynomial to y = x, which the first refit replaces and `identity` keeps.
pub fn begin(tensors: &mut Tensors, layout: &Layout) {
    for site in &layout.sites {
        let slot = &layout.params.slots[site.coefficients];
        for c in tensors.params[slot.range()].chunks_exact_mut(4) {
            c.copy_from_slice(&[0.0, 1.0, 0.0, 0.0]);
        }
    }
}

/// Steps after which polynomials are trained instead of refitted.
pub fn refit_steps(settings: &Search, steps: u64) -> u64 {
    (settings.refit_until * steps as f64).ceil() as u64
}

/// Whether step `step` of `steps` ends with a refit.
pub fn refits(settings: &Search, step: u64, steps: u64) -> bool {
    step < refit_steps(settings, steps) && step.is_multiple_of(u64::from(settings.refit_every))
}
