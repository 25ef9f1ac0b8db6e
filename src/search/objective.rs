//! What a search has to spend, and on what: ReLUs, or what private inference really costs.

use super::budget::{Budget, BudgetError};
use super::methods::{self, UnknownMethod};
use crate::cost::{Compute, Link, LinkError, Price, Protocol, ProtocolError};
use crate::graph::Layout;
use crate::kernels::metrics::Prices;
use crate::settings::Search;

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
    /// The method.
    #[error(transparent)]
    Method(#[from] UnknownMethod),
    /// A price that the protocol does not tell.
    #[error(
        "a budget of {budget} needs the bytes and rounds of a {what} in {protocol}, which are not \
         all known: choose another protocol, or one of the units that are"
    )]
    Unknown {
        /// The budget.
        budget: String,
        /// The protocol.
        protocol: String,
        /// What has no price.
        what: &'static str,
    },
    /// Polynomials that cost more than what they replace.
    #[error(
        "in {protocol} a square costs {square} bytes and a ReLU {relu}: quadratics in the place of \
         ReLUs save nothing. Lines are free: search with --degree 1"
    )]
    Dearer {
        /// The protocol.
        protocol: String,
        /// Bytes of a square, with its truncation.
        square: f64,
        /// Bytes of a ReLU.
        relu: f64,
    },
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
    /// [`ObjectiveError`] where budget, protocol and link do not go together.
    pub fn new(settings: &Search, layout: &Layout) -> Result<Self, ObjectiveError> {
        let budget: Budget = settings.budget.parse()?;
        let prices = prices(settings, budget)?;
        let full = full(layout, &prices);
        let budget = match budget {
            // More than all is all.
            Budget::Bytes(value) | Budget::Rounds(value) | Budget::Milliseconds(value) => {
                value.min(full)
            }
            counted => counted.resolve(full as usize)? as f64,
        };
        Ok(Self {
            prices,
            budget,
            full,
        })
    }

    /// Whether `cost` is within the budget, but for the last digits of a sum.
    pub fn allows(&self, cost: f64) -> bool {
        cost <= self.budget + 1e-12 * self.full
    }
}

/// The prices in the unit of `budget`. Time is what is sent, what the rounds wait, and what a party computes with one
/// core, one after the other; where the protocol's file says nothing of computing, without that.
///
/// # Errors
/// [`ObjectiveError`] where budget, protocol and link do not go together.
pub fn prices(settings: &Search, budget: Budget) -> Result<Prices, ObjectiveError> {
    let method = methods::find(&settings.method)?;
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
    if let Budget::Count(_) | Budget::Share(_) = budget {
        return Err(ObjectiveError::NotPriced {
            cost: settings.cost.clone(),
            budget: budget.to_string(),
        });
    }
    let price = |what, price, element: fn(&Compute) -> f64| {
        let compute = protocol.compute.as_ref();
        let computing = |of: fn(&Compute) -> f64| compute.map_or(0.0, of) * 1e-6;
        let computing = [computing(element), computing(|compute| compute.round)];
        in_unit(budget, &link, price, computing).ok_or_else(|| ObjectiveError::Unknown {
            budget: budget.to_string(),
            protocol: protocol.name.clone(),
            what,
        })
    };
    let (relu, relu_site) = price("ReLU", protocol.relu, |compute| compute.relu)?;
    let (square, square_site) = match method.degree(settings) {
        Some(2) => price(
            "square",
            protocol.square + protocol.truncation.square,
            |compute| compute.square,
        )?,
        _ => (0.0, 0.0),
    };
    let of_square = (protocol.square + protocol.truncation.square).bytes;
    if let (Some(square), Some(relu)) = (of_square, protocol.relu.bytes)
        && method.degree(settings) == Some(2)
        && square >= relu
    {
        return Err(ObjectiveError::Dearer {
            protocol: protocol.name,
            square,
            relu,
        });
    }
    Ok(Prices {
        relu,
        square,
        relu_site,
        square_site,
    })
}

/// What an element and a site of `price` cost in the unit of `budget`; `None` where the price is not known, or ReLUs are
/// counted. `computing` are the milliseconds that a party computes for an element and in a round.
fn in_unit(budget: Budget, link: &Link, price: Price, computing: [f64; 2]) -> Option<(f64, f64)> {
    let sent = |bytes, rounds| {
        let (bytes, rounds) = (Some(bytes), Some(rounds));
        link.milliseconds(Price { bytes, rounds })
    };
    let [element, round] = computing;
    match budget {
        Budget::Bytes(_) => Some((price.bytes?, 0.0)),
        Budget::Rounds(_) => Some((0.0, price.rounds?)),
        Budget::Milliseconds(_) => Some((
            sent(price.bytes?, 0.0)? + element,
            sent(0.0, price.rounds?)? + round * price.rounds?,
        )),
        Budget::Count(_) | Budget::Share(_) => None,
    }
}

fn full(layout: &Layout, prices: &Prices) -> f64 {
    prices.cost(layout.sites.iter().map(|site| (site.shape.len(), 0)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cost::SiteCounts;

    fn search(cost: &str, budget: &str) -> Search {
        Search {
            cost: cost.into(),
            budget: budget.into(),
            link: "100mbit,20ms".into(),
            ..Default::default()
        }
    }

    fn prices_of(cost: &str, budget: &str) -> Result<[f64; 4], ObjectiveError> {
        let settings = search(cost, budget);
        let p = prices(&settings, settings.budget.parse()?)?;
        Ok([p.relu, p.square, p.relu_site, p.square_site])
    }

    #[test]
    fn prices_follow_the_unit_of_the_budget() {
        assert_eq!(prices_of("relu", "12.9k").unwrap(), [1.0, 0.0, 0.0, 0.0]);
        assert_eq!(prices_of("crypten", "4MB").unwrap(), [232.0, 8.0, 0.0, 0.0]);
        assert_eq!(
            prices_of("crypten", "20rounds").unwrap(),
            [0.0, 0.0, 9.0, 1.0]
        );
        let [relu, square, relu_site, square_site] = prices_of("crypten", "1s").unwrap();
        // 100 Mbit/s are 12,500 bytes a millisecond; the rest is computing, in nanoseconds.
        let compute = Protocol::find("crypten").unwrap().compute.unwrap();
        let close = |a: f64, b: f64| (a - b).abs() < 1e-9;
        assert!(close(relu, 232.0 / 12_500.0 + compute.relu * 1e-6));
        assert!(close(square, 8.0 / 12_500.0 + compute.square * 1e-6));
        assert!(close(relu_site, 9.0 * (20.0 + compute.round * 1e-6)));
        assert!(close(square_site, 20.0 + compute.round * 1e-6));
        // Lines cost nothing, so nothing need be known of squares.
        let lines = Search {
            degree: 1,
            ..search("spu-cheetah", "4MB")
        };
        assert_eq!(prices(&lines, Budget::Bytes(4e6)).unwrap().square, 0.0);
        // A square and its truncation.
        assert_eq!(prices_of("spu-aby3", "1kB").unwrap()[1], 17.3333);
    }

    #[test]
    fn sites_cost_what_the_protocol_says() {
        for protocol in ["crypten", "spu-semi2k", "spu-aby3"] {
            for (unit, budget) in [
                ("bytes", Budget::Bytes(1.0)),
                ("rounds", Budget::Rounds(1.0)),
            ] {
                let prices = prices(&search(protocol, ""), budget).unwrap();
                for (relus, squares) in [(0, 0), (0, 7), (5, 0), (5, 7)] {
                    let counts = SiteCounts {
                        elements: 20,
                        relus,
                        squares,
                    };
                    let total = Protocol::find(protocol).unwrap().site(counts).total();
                    let told = if unit == "bytes" {
                        total.bytes
                    } else {
                        total.rounds
                    };
                    let what = format!("{protocol}, {relus} ReLUs, {squares} squares, {unit}");
                    assert_eq!(Some(prices.site(relus, squares)), told, "{what}");
                }
            }
        }
        // A site with both takes both, one after the other.
        let prices = Prices {
            relu_site: 2.0,
            square_site: 3.0,
            ..Prices::COUNT
        };
        assert_eq!(
            [prices.site(1, 0), prices.site(1, 1), prices.site(0, 1)],
            [3.0, 6.0, 3.0]
        );
    }

    #[test]
    fn units_that_do_not_go_together_are_named() {
        let message = |cost, budget| prices_of(cost, budget).unwrap_err().to_string();
        assert!(message("relu", "4MB").contains("--cost"));
        assert!(message("crypten", "10%").contains("400kB"));
        assert!(message("no-such-protocol", "4MB").contains("crypten"));
        assert!(message("delphi", "4MB").contains("square"));
        assert!(message("spu-cheetah", "4MB").contains("--degree 1"));
    }
}
