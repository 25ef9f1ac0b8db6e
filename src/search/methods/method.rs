//! What there is to know of a method before it is given a search.

use crate::kernels::dapa::Fit;
use crate::search::dapa;
use crate::search::strategy::{Strategy, Task};
use crate::settings::{Polynomial, Search};

/// A method of choosing, before it is given a search.
pub struct Method {
    /// What settings and summaries call it.
    pub name: &'static str,
    /// What tables for people call it.
    pub title: &'static str,
    /// What it does, in a line.
    pub summary: &'static str,
    /// What stands where a ReLU goes.
    pub polynomials: Polynomials,
    /// Whether it can choose among squares, where they have a price.
    pub chooses_squares: bool,
    /// Whether there are scores that it trains.
    pub searches: bool,
    /// Its strategy for a search.
    pub(super) make: fn(Task) -> Box<dyn Strategy>,
}

/// What stands where a ReLU goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Polynomials {
    /// What the settings say: fitted to their inputs at first, then trained.
    Fitted,
    /// Of the degree that the settings say, trained from y = x on.
    Trained,
    /// y = x.
    Identity,
}

impl Method {
    /// Its strategy for a search.
    pub fn strategy(&self, task: Task) -> Box<dyn Strategy> {
        (self.make)(task)
    }

    /// Degree of its polynomials; `None` where they are y = x, and stay so.
    pub fn degree(&self, settings: &Search) -> Option<usize> {
        match self.polynomials {
            Polynomials::Identity => None,
            Polynomials::Trained => Some(settings.degree),
            Polynomials::Fitted if settings.polynomial == Polynomial::Identity => None,
            Polynomials::Fitted => Some(settings.degree),
        }
    }

    /// How a channel's polynomial is fitted that has lost its square and gets it back; `None`
    /// where polynomials have no squares, or the method cannot choose among them.
    pub fn squares(&self, settings: &Search) -> Option<Fit> {
        let fit = dapa::fit(settings).filter(|fit| fit.degree == 2);
        fit.filter(|_| self.chooses_squares)
    }
}
