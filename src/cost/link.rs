//! Links between the parties.

use super::Price;
use serde::Serialize;
use std::str::FromStr;

/// What connects the parties.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Link {
    /// `lan`, `wan`, or as it was asked for.
    pub name: String,
    /// Megabits (10⁶) a second that a party sends.
    pub megabits: f64,
    /// Milliseconds that a round takes: a message on its way, half of what `ping` shows.
    pub latency: f64,
}

/// Why a text is no link.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no link: write lan, wan, or bandwidth and latency of a round, as 100mbit,20ms \
     (kbit, mbit, gbit; us, ms, s)"
)]
pub struct LinkError(String);

impl Link {
    /// The local network of Cheetah's experiments (Huang et al., USENIX Security 2022): 3 Gbit/s,
    /// 0.3 ms there and back.
    pub fn lan() -> Self {
        Self {
            name: "lan".into(),
            megabits: 3000.0,
            latency: 0.15,
        }
    }

    /// The wide network of Cheetah's experiments: 400 Mbit/s, 40 ms there and back.
    pub fn wan() -> Self {
        Self {
            name: "wan".into(),
            megabits: 400.0,
            latency: 20.0,
        }
    }

    /// Milliseconds that `price` takes when nothing is computed meanwhile: all bytes at full
    /// bandwidth, and each round's latency. `None` where bytes or rounds are not known.
    pub fn milliseconds(&self, price: Price) -> Option<f64> {
        Some(price.bytes? * 8.0 / (1e3 * self.megabits) + price.rounds? * self.latency)
    }
}

impl FromStr for Link {
    type Err = LinkError;

    fn from_str(text: &str) -> Result<Self, LinkError> {
        match text {
            "lan" => return Ok(Self::lan()),
            "wan" => return Ok(Self::wan()),
            _ => {}
        }
        let parsed = text.split_once(',').and_then(|(bandwidth, latency)| {
            // Longer units first: `ms` ends in `s`.
            let megabits = quantity(bandwidth, &[("kbit", 1e-3), ("mbit", 1.0), ("gbit", 1e3)])?;
            let latency = quantity(latency, &[("us", 1e-3), ("ms", 1.0), ("s", 1e3)])?;
            let sane = (1e-3..=1e9).contains(&megabits) && (0.0..=1e7).contains(&latency);
            sane.then(|| Self {
                name: text.to_owned(),
                megabits,
                latency,
            })
        });
        parsed.ok_or_else(|| LinkError(text.to_owned()))
    }
}

/// A number with one of `units`.
fn quantity(text: &str, units: &[(&str, f64)]) -> Option<f64> {
    let text = text.trim().to_lowercase();
    let (digits, scale) = units
        .iter()
        .find_map(|(unit, scale)| Some((text.strip_suffix(unit)?, scale)))?;
    let value: f64 = digits.trim().parse().ok()?;
    value.is_finite().then_some(value * scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_read_as_people_write_them() {
        let parse = |text: &str| text.parse::<Link>().map(|l| (l.megabits, l.latency));
        assert_eq!(parse("lan"), Ok((3000.0, 0.15)));
        assert_eq!(parse("wan"), Ok((400.0, 20.0)));
        assert_eq!(parse("100mbit,20ms"), Ok((100.0, 20.0)));
        assert_eq!(parse("1.5Gbit, 500us"), Ok((1500.0, 0.5)));
        assert_eq!(parse("64kbit,0s"), Ok((0.064, 0.0)));
        for bad in [
            "",
            "man",
            "100mbit",
            "100,20",
            "100mbit,20",
            "0mbit,20ms",
            "-1mbit,20ms",
            "100mbit,-1ms",
            "nanmbit,20ms",
            "100mbit,infs",
            "100mbit,20ms,3",
            "mbit,ms",
        ] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn time_is_bytes_over_bandwidth_and_rounds_of_latency() {
        let link: Link = "100mbit,20ms".parse().unwrap();
        let price = |bytes, rounds| Price { bytes, rounds };
        // 12.5 MB are 100 Mbit: a second.
        let time = link.milliseconds(price(Some(12.5e6), Some(144.0)));
        assert_eq!(time, Some(1000.0 + 2880.0));
        assert_eq!(link.milliseconds(Price::FREE), Some(0.0));
        assert_eq!(link.milliseconds(price(None, Some(1.0))), None);
        assert_eq!(link.milliseconds(price(Some(1.0), None)), None);
    }
}
