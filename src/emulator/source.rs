//! Places: in the text of a shader, and among what is bound to it.

use std::ops::Range;

/// A place in the shader's source.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct SourcePlace {
    /// Line, from 1; 0 where the compiler made the instruction or no source was given.
    pub line: u32,
    /// Column, from 1, in bytes.
    pub column: u32,
    /// Bytes of the source.
    pub span: Range<usize>,
}

impl SourcePlace {
    /// The place of these bytes of a text.
    pub fn of(source: &str, span: Range<usize>) -> Self {
        let before = source
            .as_bytes()
            .get(..span.start)
            .unwrap_or(source.as_bytes());
        let begin = before
            .iter()
            .rposition(|&byte| byte == b'\n')
            .map_or(0, |at| at + 1);
        let lines = before.iter().filter(|&&byte| byte == b'\n').count();
        Self {
            line: lines as u32 + 1,
            column: (before.len() - begin) as u32 + 1,
            span,
        }
    }
}

impl std::fmt::Display for SourcePlace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.line {
            0 => write!(f, "bytes {}..{}", self.span.start, self.span.end),
            line => write!(f, "{line}:{}", self.column),
        }
    }
}

/// Where a buffer or a texture is bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Slot {
    /// `@group(group) @binding(binding)`.
    Binding {
        /// The group.
        group: u32,
        /// The binding in it.
        binding: u32,
    },
    /// `var<immediate>`.
    Immediate,
}

impl std::fmt::Display for Slot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Binding { group, binding } => write!(f, "group {group} binding {binding}"),
            Self::Immediate => f.write_str("the immediates"),
        }
    }
}
