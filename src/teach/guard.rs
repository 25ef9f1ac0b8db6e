//! Who may ask: the code in the address, the host that is asked, the page that asks.
//!
//! Everything lies below a code that only the address tells. Beside it, a request must name this machine as
//! its host, by number or as `localhost`: a name that a foreign page has pointed here (DNS rebinding) is
//! refused. What changes anything must come from a page of this server.

use super::error::TeachError;
use std::net::IpAddr;

/// Letters and digits that nobody takes for each other.
const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// What a request must show.
#[derive(Debug, Clone)]
pub struct Guard {
    /// The code in the address.
    pub code: String,
    port: u16,
    /// Whether other machines may ask.
    class: bool,
}

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// It does not know the code.
    Code,
    /// It names another host.
    Host,
    /// Another page sends it.
    Origin,
}

impl Guard {
    /// A new code: of 130 bits on this machine, of 40 where a class must type it.
    ///
    /// # Errors
    /// [`TeachError::Random`] where the system has no random numbers.
    pub fn new(port: u16, class: bool) -> Result<Self, TeachError> {
        let mut bytes = [0u8; 26];
        getrandom::fill(&mut bytes).map_err(|error| TeachError::Random(error.to_string()))?;
        let length = if class { 8 } else { bytes.len() };
        let letters = bytes[..length].iter();
        let code = letters.map(|&byte| char::from(ALPHABET[usize::from(byte % 32)]));
        Ok(Self {
            code: code.collect(),
            port,
            class,
        })
    }

    /// The path below the code, if host and origin are right, too.
    ///
    /// # Errors
    /// What is not.
    pub fn admit<'p>(
        &self,
        path: &'p str,
        host: Option<&str>,
        origin: Option<&str>,
        changes: bool,
    ) -> Result<&'p str, Refusal> {
        let host = host
            .filter(|host| self.is_ours(host))
            .ok_or(Refusal::Host)?;
        match origin {
            Some(origin) if origin.strip_prefix("http://") != Some(host) => {
                return Err(Refusal::Origin);
            }
            None if changes => return Err(Refusal::Origin),
            _ => {}
        }
        let rest = path.strip_prefix('/').ok_or(Refusal::Code)?;
        let (code, rest) = rest.split_once('/').unwrap_or((rest, ""));
        match same(code.as_bytes(), self.code.as_bytes()) {
            true => Ok(rest),
            false => Err(Refusal::Code),
        }
    }

    fn is_ours(&self, host: &str) -> bool {
        let (name, port) = match host.rsplit_once(':') {
            // The colons of an IPv6 address stand in brackets.
            Some((name, port)) if !port.ends_with(']') => (name, port),
            _ => (host, "80"),
        };
        let name = name.trim_start_matches('[').trim_end_matches(']');
        let number = name.parse::<IpAddr>();
        port.parse() == Ok(self.port)
            && match number {
                Ok(address) => self.class || address.is_loopback(),
                Err(_) => name.eq_ignore_ascii_case("localhost"),
            }
    }
}

/// Whether two texts are the same, in a time that does not tell where they differ.
fn same(a: &[u8], b: &[u8]) -> bool {
    let differences = a.iter().zip(b).fold(0, |all, (a, b)| all | (a ^ b));
    a.len() == b.len() && differences == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_knows_the_code_is_admitted() {
        let guard = Guard::new(8000, false).unwrap();
        let code = guard.code.clone();
        assert_eq!(code.len(), 26);
        assert_ne!(code, Guard::new(8000, false).unwrap().code);
        let host = Some("127.0.0.1:8000");
        let page = format!("/{code}/api/run");
        assert_eq!(guard.admit(&page, host, None, false), Ok("api/run"));
        for wrong in ["/", "", "/x/api/run", &page[..20], &format!("{code}/")] {
            assert_eq!(
                guard.admit(wrong, host, None, false),
                Err(Refusal::Code),
                "{wrong}"
            );
        }
    }

    #[test]
    fn hosts_and_origins_are_looked_at() {
        let guard = Guard::new(8000, false).unwrap();
        let page = format!("/{}/", guard.code);
        let admit = |host: &str, origin: Option<&str>, changes| {
            guard.admit(&page, Some(host), origin, changes)
        };
        for host in [
            "localhost:8000",
            "127.0.0.1:8000",
            "[::1]:8000",
            "LOCALHOST:8000",
        ] {
            assert_eq!(admit(host, None, false), Ok(""), "{host}");
            let own = format!("http://{host}");
            assert_eq!(admit(host, Some(&own), true), Ok(""), "{host}");
            assert_eq!(admit(host, None, true), Err(Refusal::Origin));
            assert_eq!(
                admit(host, Some("http://evil.example"), false),
                Err(Refusal::Origin)
            );
            assert_eq!(admit(host, Some("null"), true), Err(Refusal::Origin));
        }
        for host in [
            "evil.example:8000",
            "127.0.0.1",
            "127.0.0.1:80",
            "192.168.0.7:8000",
            "",
        ] {
            assert_eq!(admit(host, None, false), Err(Refusal::Host), "{host}");
        }
        assert_eq!(guard.admit(&page, None, None, false), Err(Refusal::Host));
        let class = Guard::new(8000, true).unwrap();
        let page = format!("/{}/", class.code);
        assert_eq!(class.code.len(), 8);
        assert_eq!(
            class.admit(&page, Some("192.168.0.7:8000"), None, false),
            Ok("")
        );
        assert_eq!(
            class.admit(&page, Some("evil.example:8000"), None, false),
            Err(Refusal::Host)
        );
    }
}
