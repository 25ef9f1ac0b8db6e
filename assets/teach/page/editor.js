// A text area over its own text in colours. The text area is what is typed into, read aloud and selected.

import { h } from "./dom.js";
import { highlighted } from "./highlight.js";

// `onRun` is called by Ctrl or Cmd with Enter, `onChange` when the text has changed.
export function editor({ value, label, onRun, onChange }) {
    let marks = new Map();
    const area = h("textarea", {
        spellcheck: "false",
        autocapitalize: "off",
        autocomplete: "off",
        wrap: "off",
        "aria-label": label,
        oninput: () => {
            marks = new Map();
            paint();
            onChange?.(area.value);
        },
        onscroll: follow,
        onkeydown: keys,
    });
    const colours = h("pre", { "aria-hidden": "true" });
    const numbers = h("pre", { class: "numbers", "aria-hidden": "true" });
    const element = h("div", { class: "editor" }, numbers, h("div", { class: "sheet" }, colours, area));
    let tabLeaves = false;

    function paint() {
        const lines = area.value.split("\n").length;
        numbers.replaceChildren(
            ...Array.from({ length: lines }, (_, i) => {
                const mark = marks.get(i + 1);
                return h(
                    "span",
                    { class: mark ? `mark ${mark.kind}` : null },
                    `${mark ? (mark.kind === "bad" ? "✗" : "!") : ""}${i + 1}\n`,
                );
            }),
        );
        colours.replaceChildren(
            highlighted(area.value, (line) => {
                const mark = marks.get(line);
                return mark ? h("span", { class: `note ${mark.kind}` }, `  ◂ ${mark.text}`) : null;
            }),
            "\n",
        );
        // As tall as its text, within bounds: nothing jumps when a message comes.
        element.style.setProperty("--lines", String(Math.min(Math.max(lines + 1, 14), 34)));
        follow();
    }

    function follow() {
        colours.scrollTop = numbers.scrollTop = area.scrollTop;
        colours.scrollLeft = area.scrollLeft;
    }

    // Through the browser's own command, so that undo knows of it.
    function insert(text) {
        if (!document.execCommand("insertText", false, text)) {
            area.setRangeText(text, area.selectionStart, area.selectionEnd, "end");
            area.dispatchEvent(new Event("input"));
        }
    }

    function keys(event) {
        const { selectionStart: at, value: text } = area;
        const before = text.slice(text.lastIndexOf("\n", at - 1) + 1, at);
        if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
            onRun?.();
        } else if (event.key === "Escape") {
            // After Escape, Tab leaves: nobody is caught in here.
            tabLeaves = true;
            return;
        } else if (event.key === "Tab" && !event.shiftKey && !tabLeaves) {
            insert("    ");
        } else if (event.key === "Enter" && !event.shiftKey) {
            insert("\n" + before.match(/^ */)[0] + (/\{\s*$/.test(before) ? "    " : ""));
        } else if (event.key === "}" && /^ {4,}$/.test(before)) {
            area.setSelectionRange(at - 4, at);
            insert("}");
        } else {
            if (event.key !== "Tab") tabLeaves = false;
            return;
        }
        event.preventDefault();
    }

    const api = {
        element,
        get value() {
            return area.value;
        },
        set value(text) {
            area.value = text;
            marks = new Map();
            paint();
        },
        // Marks lines: [{ line, text, kind: "bad" | "warn" }].
        mark(list) {
            marks = new Map();
            for (const item of list) if (item.line && !marks.has(item.line)) marks.set(item.line, item);
            paint();
        },
        go(line) {
            const lines = area.value.split("\n");
            const start = lines.slice(0, line - 1).join("\n").length + (line > 1 ? 1 : 0);
            area.focus();
            area.setSelectionRange(start, start + (lines[line - 1]?.length ?? 0));
        },
    };
    area.value = value;
    paint();
    return api;
}

// A text to read.
export const listing = (text, label) =>
    h("pre", { class: "listing", tabindex: "0", role: "region", "aria-label": label }, highlighted(text));
