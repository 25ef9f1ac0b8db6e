//! What a search has to spend, and on what: ReLUs, or what private inference really costs.

use super::budget::{Budget, BudgetError};
use crate::cost::{Link, LinkError, Protocol, ProtocolError};
use crate::graph::Layout;
use crate::kernels::metrics::Prices;
use crate::train::settings::Search;

/// Why settings make no objective.
#[derive(Debug, thiserror::Error)]
pub enum ObjectiveError {
    /// The budget.
    #[error(transparent)]
    Budget(#[from] BudgetError),
    /// The protocol.
    #[error(transparent)]
    Protocol(#[from] ProtocolError),
    /// The network between the parties.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// ReLUs, where a protocol has prices.
    #[error(
        "with search.cost = {cost} a budget is what an image may cost: bytes (400kB), rounds \
         (15rounds) or time (20ms), not `{budget}`"
    )]
    NotPriced {
        /// The protocol.
        cost: String,
        /// The budget.
        budget: String,
    },
    /// Prices, where only ReLUs are counted.
    #[error(
        "a budget of {budget} needs the prices of a protocol, for example --cost crypten; \
         `autorep cost` lists them"
    )]
    NotCounted {
        /// The budget.
        budget: String,
    },
}

/// Prices and the budget, in one unit.
#[derive(Debug, Clone, PartialEq)]
pub struct Objective {
    /// What ReLUs and squares cost.
    pub prices: Prices,
    /// What all of them may cost.
    pub budget: f64,
    /// What the network costs with all its ReLUs.
    pub full: f64,
}

impl Objective {
    /// The objective of a search on the network of `layout`.
    ///
    /// # Errors
    /// [`ObjectiveError`].
    pub fn new(settings: &Search, layout: &Layout) -> Result<Self, ObjectiveError> {
        let budget: Budget = settings.budget.parse()?;
        let prices = prices(settings, budget)?;
        let full = full(layout, &prices);
        let budget = match budget {
            Budget::Bytes(value) | Budget::Rounds(value) | Budget::Milliseconds(value) => value,
            counted => counted.resolve(full as usize)? as f64,
        };
        Ok(Self {
            prices,
            budget,
            full,
        })
    }

    /// Whether squares cost anything, so that the search must choose among them too.
    pub fn prices_squares(&self) -> bool {
        self.prices.square > 0.0 || self.prices.square_site > 0.0
    }

    /// Whether `cost` is within the budget, but for the last digits of a sum.
    pub fn allows(&self, cost: f64) -> bool {
        cost <= self.budget + 1e-9 * self.full
    }
}

/// The prices in the unit of `budget`.
///
/// # Errors
/// [`ObjectiveError`].
pub fn prices(settings: &Search, budget: Budget) -> Result<Prices, ObjectiveError> {
    if settings.cost == "relu" {
        return match budget {
            Budget::Count(_) | Budget::Share(_) => Ok(Prices::COUNT),
            _ => Err(ObjectiveError::NotCounted {
                budget: budget.to_string(),
            }),
        };
    }
    let protocol = Protocol::find(&settings.cost)?;
    let link: Link = settings.link.parse()?;
    let (per_byte, per_round) = match budget {
        Budget::Bytes(_) => (1.0, 0.0),
        Budget::Rounds(_) => (0.0, 1.0),
        Budget::Milliseconds(_) => (link.milliseconds_per_byte(), link.milliseconds),
        Budget::Count(_) | Budget::Share(_) => {
            return Err(ObjectiveError::NotPriced {
                cost: settings.cost.clone(),
                budget: budget.to_string(),
            });
        }
    };
    Ok(Prices {
        relu: per_byte * protocol.relu.bytes,
        square: per_byte * protocol.square.bytes,
        relu_site: per_round * protocol.relu.rounds,
        square_site: per_round * protocol.square.rounds,
    })
}

fn full(layout: &Layout, prices: &Prices) -> f64 {
    prices.cost(layout.sites.iter().map(|site| (site.shape.len(), 0)))
}
