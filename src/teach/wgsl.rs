//! A visitor's WGSL before it runs: what naga makes of it, or where it stops.

use crate::emulator::{CheckError, CompileError, Program, load};
use serde::{Deserialize, Serialize};

/// What the compiler says, at a place of the text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Line, from 1; 0 where it concerns the whole.
    pub line: u32,
    /// Column, from 1, in UTF-8 bytes.
    pub column: u32,
    /// Length in bytes.
    pub length: u32,
    /// What is wrong.
    pub text: String,
}

/// Most bytes of a text: the longest kernel has 120 kB.
pub const LONGEST: usize = 200_000;

/// Compiles the entry point for the emulator.
///
/// # Errors
/// What is wrong, in the compiler's words.
pub fn compile(source: &str, entry: &str) -> Result<Program, Message> {
    let whole = |text: String| Message {
        line: 0,
        column: 0,
        length: 0,
        text,
    };
    if source.len() > LONGEST {
        return Err(whole(format!(
            "the text has {} bytes: {LONGEST} are the most",
            source.len()
        )));
    }
    load(source, Some(entry)).map_err(|error| match error {
        CheckError::Wgsl { message, place } => Message {
            line: place.line,
            column: place.column,
            length: place.span.len() as u32,
            text: message,
        },
        CheckError::Compile(CompileError::NoEntry { name }) => whole(format!(
            "there is no entry point `{name}`: write `@compute @workgroup_size(64) fn {name}(…)`"
        )),
        other => whole(other.to_string()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_name_the_line() {
        let good = "@compute @workgroup_size(1)\nfn main() {}";
        assert!(compile(good, "main").is_ok());
        assert!(compile(good, "other").unwrap_err().text.contains("`other`"));
        let slip = "@compute @workgroup_size(1)\nfn main() { let x = ; }";
        assert_eq!(compile(slip, "main").unwrap_err().line, 2);
        let unknown = "fn f() -> f32 {\n    return y;\n}";
        let message = compile(unknown, "main").unwrap_err();
        assert_eq!((message.line, message.column), (2, 12), "{message:?}");
        let wrong = "@compute @workgroup_size(1)\nfn main() {\n    var x: u32 = 1.5;\n}";
        assert_eq!(compile(wrong, "main").unwrap_err().line, 3);
        assert!(compile(&" ".repeat(LONGEST + 1), "main").is_err());
    }
}
