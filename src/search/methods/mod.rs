//! The methods of choosing the ReLUs to keep, a file for each: what it is called, what it can
//! choose among, and its strategy. To add one, write its file and put it into [`METHODS`].

mod autopoly;
mod autorep;
mod fisher;
mod method;
mod none;
mod random;
mod snl;

pub use method::{Method, Polynomials};

/// Every method, the default first.
pub const METHODS: &[Method] = &[
    autorep::METHOD,
    fisher::METHOD,
    snl::METHOD,
    autopoly::METHOD,
    random::METHOD,
    none::METHOD,
];

/// There is no such method.
#[derive(Debug, thiserror::Error)]
#[error(
    "search.method = {name}: there is no such method; did you mean `{nearest}`? There are {}",
    names()
)]
pub struct UnknownMethod {
    name: String,
    nearest: &'static str,
}

/// The method of that name.
///
/// # Errors
/// [`UnknownMethod`] where there is none.
pub fn find(name: &str) -> Result<&'static Method, UnknownMethod> {
    let distance = |method: &&Method| strsim::levenshtein(method.name, name);
    let nearest = METHODS.iter().min_by_key(distance).unwrap_or(&METHODS[0]);
    if nearest.name == name {
        return Ok(nearest);
    }
    Err(UnknownMethod {
        name: name.to_owned(),
        nearest: nearest.name,
    })
}

/// All names: `autorep, fisher, …`.
pub fn names() -> String {
    let names: Vec<&str> = METHODS.iter().map(|method| method.name).collect();
    names.join(", ")
}

/// A line for each method: its name, and what it does.
pub fn list() -> String {
    let line = |method: &Method| format!("{:9} {}", method.name, method.summary);
    let lines: Vec<String> = METHODS.iter().map(line).collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::strategy::Task;
    use crate::settings::Search;

    #[test]
    fn methods_are_found_by_name_and_wrong_names_get_a_hint() {
        for method in METHODS {
            let found = find(method.name).unwrap_or_else(|e| panic!("{e}"));
            assert_eq!(found.summary, method.summary);
        }
        assert_eq!(METHODS[0].name, Search::default().method);
        for method in METHODS {
            let strategy = method.strategy(Task {
                settings: Search::default(),
                full: 100.0,
                budget: 10.0,
            });
            let name = method.name;
            assert_eq!(strategy.rule().is_some(), method.searches, "{name}");
        }
        let Err(error) = find("fischer") else {
            panic!("found")
        };
        let message = error.to_string();
        assert!(message.contains("mean `fisher`") && message.contains("autopoly"));
    }
}
