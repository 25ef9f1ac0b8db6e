// Colours for WGSL, its template and Rust: one pass over the text with one expression.

const WORDS = {
    keyword:
        "alias|break|case|const|const_assert|continue|continuing|default|diagnostic|discard|else|enable|fn|for|if|" +
        "let|loop|" +
        "override|return|struct|switch|var|while|true|false|" +
        "pub|use|mod|impl|match|mut|in|as|where|trait|enum|self|Self|move|ref|static|super|crate|type",
    type:
        "array|atomic|bool|f16|f32|f64|i32|u32|u8|u64|usize|mat[234]x[234]f?|vec[234][fiuh]?|ptr|str|" +
        "String|Vec|Option|" +
        "storage|workgroup|uniform|private|function|read|read_write|write",
};

const TOKENS = new RegExp(
    [
        String.raw`(?<comment>//[^\n]*|/\*[\s\S]*?\*/|\{#[\s\S]*?#\})`,
        String.raw`(?<template>\{%[\s\S]*?%\}|\{\{[\s\S]*?\}\})`,
        String.raw`(?<attribute>@\w+|#!?\[[^\]\n]*\])`,
        String.raw`(?<text>"(?:[^"\\\n]|\\.)*")`,
        String.raw`(?<number>\b(?:0x[0-9a-fA-F]+|\d[\d_]*\.?\d*(?:e[+-]?\d+)?)(?:[iufh]\b|f32\b|f64\b)?|\.\d+)`,
        String.raw`(?<keyword>\b(?:${WORDS.keyword})\b)`,
        String.raw`(?<type>\b(?:${WORDS.type})\b)`,
        String.raw`(?<call>\b[A-Za-z_]\w*(?=\())`,
    ].join("|"),
    "g",
);

// Pieces of a text: [class or null, text].
export function pieces(text) {
    const found = [];
    let at = 0;
    for (const match of text.matchAll(TOKENS)) {
        if (match.index > at) found.push([null, text.slice(at, match.index)]);
        const kind = Object.entries(match.groups).find(([, value]) => value !== undefined)[0];
        found.push([kind, match[0]]);
        at = match.index + match[0].length;
    }
    if (at < text.length) found.push([null, text.slice(at)]);
    return found;
}

// The text as a fragment, line after line; `after(number)` may add something behind a line.
export function highlighted(text, after) {
    const fragment = document.createDocumentFragment();
    let line = 1;
    const put = (kind, piece) => {
        if (!piece) return;
        if (!kind) {
            fragment.append(piece);
            return;
        }
        const span = document.createElement("span");
        span.className = `t-${kind}`;
        span.textContent = piece;
        fragment.append(span);
    };
    const end = () => {
        const more = after?.(line++);
        if (more) fragment.append(more);
    };
    for (const [kind, piece] of pieces(text)) {
        piece.split("\n").forEach((part, i) => {
            if (i > 0) {
                end();
                fragment.append("\n");
            }
            put(kind, part);
        });
    }
    end();
    return fragment;
}
