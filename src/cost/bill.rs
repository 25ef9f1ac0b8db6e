//! What each layer of a network costs under a protocol.

use super::layers::{Kind, Layer};
use super::protocol::{Price, Protocol, SiteCounts, Weights};
use serde::Serialize;
use std::iter::Sum;
use std::ops::Add;

/// Costs of one image by cause: bytes that a party sends online, and rounds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Parts {
    /// ReLUs.
    pub relu: Price,
    /// Squares of quadratics.
    pub square: Price,
    /// Products of two secrets.
    pub product: Price,
    /// Linear layers.
    pub linear: Price,
    /// Truncations of squares, products and linear layers.
    pub truncation: Price,
}

impl Parts {
    /// Nothing.
    pub const FREE: Self = Self {
        relu: Price::FREE,
        square: Price::FREE,
        product: Price::FREE,
        linear: Price::FREE,
        truncation: Price::FREE,
    };

    /// All of it; not known where a part is not.
    pub fn total(self) -> Price {
        self.relu + self.square + self.product + self.linear + self.truncation
    }
}

impl Add for Parts {
    type Output = Self;

    /// One after the other.
    fn add(self, other: Self) -> Self {
        Self {
            relu: self.relu + other.relu,
            square: self.square + other.square,
            product: self.product + other.product,
            linear: self.linear + other.linear,
            truncation: self.truncation + other.truncation,
        }
    }
}

impl Sum for Parts {
    fn sum<I: Iterator<Item = Self>>(parts: I) -> Self {
        parts.fold(Self::FREE, Self::add)
    }
}

/// What each of `layers` costs, in their order; those that cannot be priced cost nothing here.
/// `sites` are what the activation sites hold, in order.
///
/// # Panics
/// Where there are not as many `sites` as sites.
pub fn bill(
    protocol: &Protocol,
    layers: &[Layer],
    sites: &[SiteCounts],
    weights: Weights,
) -> Vec<Parts> {
    let mut sites = sites.iter();
    let parts = |layer: &Layer| match layer.kind {
        Kind::Linear(shape) => Parts {
            linear: protocol.linear(shape, weights),
            truncation: protocol.truncate(shape.output),
            ..Parts::FREE
        },
        Kind::Site { .. } => {
            let counts = sites.next().expect("a count for every site");
            let cost = protocol.site(*counts);
            Parts {
                relu: cost.relu,
                square: cost.square,
                truncation: cost.truncation,
                ..Parts::FREE
            }
        }
        Kind::Product { elements } => Parts {
            product: protocol.product.times(elements),
            truncation: protocol.truncate(elements),
            ..Parts::FREE
        },
        Kind::Factor { elements } => Parts {
            product: protocol.factor(elements, weights),
            truncation: protocol.truncate(elements),
            ..Parts::FREE
        },
        Kind::Average { elements } => Parts {
            truncation: protocol.truncate(elements),
            ..Parts::FREE
        },
        Kind::Sigmoid { .. } | Kind::Maximum { .. } => Parts::FREE,
    };
    let parts = layers.iter().map(parts).collect();
    assert!(sites.next().is_none(), "a site for every count");
    parts
}

/// Milliseconds that a party computes each of `layers` for one image, with one core, beside what the
/// parties send; `None` where the protocol's file does not say. Sums and what cannot be priced count
/// as nothing. `sites` as for [`bill`].
pub fn computing(
    protocol: &Protocol,
    layers: &[Layer],
    sites: &[SiteCounts],
    weights: Weights,
) -> Option<Vec<f64>> {
    let compute = protocol.compute.as_ref()?;
    let parts = bill(protocol, layers, sites, weights);
    let mut sites = sites.iter();
    let milliseconds = |(layer, parts): (&Layer, Parts)| {
        let rounds = parts.total().rounds.unwrap_or(0.0);
        let nanoseconds = match layer.kind {
            Kind::Linear(shape) => compute.linear(weights) * shape.multiply_adds as f64,
            Kind::Site { .. } => sites.next().map_or(0.0, |counts| {
                compute.relu * counts.relus as f64 + compute.square * counts.squares as f64
            }),
            Kind::Product { elements } => compute.product * elements as f64,
            Kind::Factor { elements } if weights == Weights::Encrypted => {
                compute.product * elements as f64
            }
            Kind::Factor { .. }
            | Kind::Average { .. }
            | Kind::Sigmoid { .. }
            | Kind::Maximum { .. } => 0.0,
        };
        (nanoseconds + compute.round * rounds) * 1e-6
    };
    Some(layers.iter().zip(parts).map(milliseconds).collect())
}

/// Bytes of a [`bill`] that are sent once, however many images are evaluated together: those of
/// encrypted weights, which are opened under masks of their own.
pub fn once(protocol: &Protocol, layers: &[Layer], weights: Weights) -> f64 {
    let (Weights::Encrypted, Some(linear)) = (weights, protocol.linear) else {
        return 0.0;
    };
    let weights = layers.iter().map(|layer| match layer.kind {
        Kind::Linear(shape) => shape.weights,
        _ => 0,
    });
    linear.weight * weights.sum::<usize>() as f64
}

/// `budget` ReLUs over sites of so many `elements`, in proportion to them, but one at least at as
/// many sites as can be: the most rounds that a budget can take. The rest are quadratics.
pub fn evenly(elements: &[usize], budget: usize) -> Vec<SiteCounts> {
    // One each, and of what is left to place a share of what is left of the site.
    let mut left = budget.saturating_sub(elements.len());
    let mut room: usize = elements.iter().map(|n| n.saturating_sub(1)).sum();
    let site = |(index, &elements): (usize, &usize)| {
        let first = usize::from(index < budget).min(elements);
        let more = elements - elements.min(1);
        // u128: products of counts, however large.
        let share = (left as u128 * more as u128).checked_div(room as u128);
        let share = (share.unwrap_or(0) as usize).min(more);
        left -= share;
        room -= more;
        let relus = first + share;
        SiteCounts {
            elements,
            relus,
            squares: elements - relus,
        }
    };
    elements.iter().enumerate().map(site).collect()
}

#[cfg(test)]
mod tests {
    use super::super::layers::layers;
    use super::*;
    use crate::models::{ARCHITECTURES, ModelSpec};

    fn network(name: &str, size: usize) -> Vec<Layer> {
        let spec = ModelSpec {
            name: name.into(),
            width: 1.0,
            input: (size, size),
            classes: 10,
        };
        layers(&spec.build().unwrap())
    }

    fn elements(layers: &[Layer]) -> Vec<usize> {
        let of = |layer: &Layer| match layer.kind {
            Kind::Site { elements } => Some(elements),
            _ => None,
        };
        layers.iter().filter_map(of).collect()
    }

    fn total(protocol: &str, layers: &[Layer], budget: usize, weights: Weights) -> Parts {
        let protocol = Protocol::find(protocol).unwrap();
        let sites = evenly(&elements(layers), budget);
        bill(&protocol, layers, &sites, weights).into_iter().sum()
    }

    fn price(bytes: f64, rounds: f64) -> Price {
        Price {
            bytes: Some(bytes),
            rounds: Some(rounds),
        }
    }

    #[test]
    fn resnet18_costs_the_worked_numbers() {
        const ALL: usize = 491_520;
        let resnet = network("resnet18", 32);
        // ReLUs, and 16 sites × their rounds at any budget; squares, and a round for each site.
        for (protocol, byte, rounds, square) in [
            ("crypten", 232.0, 9.0, 8.0),
            ("spu-semi2k", 72.0, 8.0, 16.0),
            ("spu-aby3", 57.333, 11.0, 8.0),
        ] {
            let cost = |budget| total(protocol, &resnet, budget, Weights::Public);
            assert_eq!(cost(ALL).relu.rounds, Some(16.0 * rounds));
            let bytes = cost(ALL).relu.bytes.unwrap();
            assert!((bytes - byte * 491_520.0).abs() < 1e-3, "{protocol}");
            assert_eq!(cost(ALL).square, Price::FREE);
            assert_eq!(cost(0).relu, Price::FREE);
            assert_eq!(cost(0).square, price(square * 491_520.0, 16.0));
            let some = cost(12_900);
            assert_eq!(some.relu.rounds, Some(16.0 * rounds));
            assert_eq!(some.square, price(square * 478_620.0, 16.0));
            assert_eq!(some.linear, Price::FREE);
        }
        assert_eq!(
            total("crypten", &resnet, ALL, Weights::Public).total(),
            price(232.0 * 491_520.0, 144.0)
        );
        // SPU truncates what comes out of 20 convolutions, an average and a linear layer.
        let outputs = 557_056.0 + 57_344.0 + 512.0 + 10.0;
        assert_eq!(
            total("spu-semi2k", &resnet, ALL, Weights::Public).truncation,
            price(4.0 * outputs, 22.0)
        );
    }

    #[test]
    fn computing_is_what_its_elements_and_multiply_adds_take() {
        const TEXT: &str = r#"
            name = "slow"
            title = "Slow"
            parties = 2
            source = "This test."
            relu = { bytes = 1, rounds = 9 }
            square = { bytes = 1, rounds = 1 }
            compute = { machine = "This one", relu = 1000, square = 10, product = 7, linear_public = 1, linear_encrypted = 3, round = 1e6 }
            [linear]
            rounds = 2
            [truncation]
            square = { bytes = 0, rounds = 0 }
            linear = { bytes = 0, rounds = 0 }
        "#;
        let protocol = Protocol::parse("slow", TEXT).unwrap();
        let resnet = network("resnet18", 32);
        let milliseconds = |budget, weights| {
            let sites = evenly(&elements(&resnet), budget);
            let each = computing(&protocol, &resnet, &sites, weights).unwrap();
            assert_eq!(each.len(), resnet.len());
            each.into_iter().sum::<f64>()
        };
        // Multiply-adds of this network, as published; then 16 sites, and 21 layers of 2 rounds.
        let multiply_adds = 555_422_720.0 * 1e-6;
        let close = |value: f64, expected: f64| assert!((value - expected).abs() < 1e-6, "{value}");
        close(
            milliseconds(491_520, Weights::Public),
            multiply_adds + 491.52 + 16.0 * 9.0,
        );
        close(
            milliseconds(0, Weights::Encrypted),
            3.0 * multiply_adds + 4.9152 + 16.0 + 42.0,
        );
        let silent = Protocol::find("delphi").unwrap();
        let sites = evenly(&elements(&resnet), 0);
        assert_eq!(computing(&silent, &resnet, &sites, Weights::Public), None);
    }

    #[test]
    fn encrypted_weights_are_opened_for_about_89_megabytes() {
        let resnet = network("resnet18", 32);
        let shapes = resnet.iter().filter_map(|layer| match layer.kind {
            Kind::Linear(shape) => Some(shape),
            _ => None,
        });
        let (mut weights, mut inputs, mut products) = (0, 0, 0);
        for shape in shapes {
            weights += shape.weights;
            inputs += shape.input;
            products += shape.unfolded + shape.weights;
        }
        // All parameters but those of the batch norms and the last layer's bias.
        assert_eq!(weights, 11_173_962 - 9600 - 10);
        let linear = |protocol| total(protocol, &resnet, 0, Weights::Encrypted).linear;
        assert_eq!(
            linear("crypten"),
            price(8.0 * (weights + inputs) as f64, 21.0)
        );
        assert_eq!(linear("spu-semi2k"), price(8.0 * products as f64, 21.0));
        assert_eq!(linear("spu-aby3").rounds, Some(21.0));
        assert_eq!(linear("delphi"), Price::UNKNOWN);
    }

    #[test]
    fn convolutions_are_the_matrix_products_of_their_groups() {
        let net = network("efficientnet_b0", 64);
        let shape = |name: &str| match net.iter().find(|layer| layer.name == name).unwrap().kind {
            Kind::Linear(shape) => shape,
            kind => panic!("{name} is {kind:?}"),
        };
        // Depthwise, 3×3, 32 channels of 32×32.
        let depthwise = shape("features.1.0.block.0.0");
        assert_eq!(depthwise.weights, 32 * 9);
        assert_eq!(depthwise.unfolded, 32 * 32 * 32 * 9);
        assert_eq!((depthwise.input, depthwise.output), (32_768, 32_768));
        // The stem, 3×3 with stride 2, 3 to 32 channels.
        let stem = shape("features.0.0");
        assert_eq!(stem.weights, 32 * 27);
        assert_eq!(stem.unfolded, 32 * 32 * 27);
        assert_eq!((stem.input, stem.output), (3 * 64 * 64, 32 * 32 * 32));
    }

    #[test]
    fn what_no_protocol_prices_is_found() {
        let unpriced = |name| {
            let layers = network(name, 64).into_iter();
            let kinds = layers
                .map(|layer| layer.kind)
                .filter(|kind| !kind.is_priced());
            kinds.collect::<Vec<_>>()
        };
        assert_eq!(unpriced("resnet18"), []);
        assert_eq!(unpriced("wide_resnet_22_8"), []);
        assert_eq!(unpriced("imagenet_resnet18_avgpool"), []);
        let comparisons = 8 * 64 * 16 * 16;
        assert_eq!(
            unpriced("imagenet_resnet18"),
            [Kind::Maximum { comparisons }]
        );
        assert_eq!(unpriced("efficientnet_b2").len(), 23);
        let products = network("efficientnet_b2", 64).into_iter();
        let products = products.filter(|layer| matches!(layer.kind, Kind::Product { .. }));
        assert_eq!(products.count(), 23);
    }

    #[test]
    fn even_budgets_are_met_exactly_at_as_many_sites_as_can_be() {
        for name in ARCHITECTURES.iter().map(|row| row.name) {
            let elements = elements(&network(name, 64));
            let all: usize = elements.iter().sum();
            for budget in [0, 1, 5, elements.len(), 1000, 12_900, all / 2, all - 1, all] {
                let sites = evenly(&elements, budget);
                let relus: usize = sites.iter().map(|site| site.relus).sum();
                assert_eq!(relus, budget, "{name}");
                let held = sites.iter().filter(|site| site.relus > 0).count();
                assert_eq!(held, budget.min(elements.len()), "{name}");
                for (site, elements) in sites.iter().zip(&elements) {
                    assert_eq!(site.relus + site.squares, *elements);
                }
            }
        }
    }
}
