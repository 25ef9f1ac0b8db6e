// The exercises: a list, and a page for each.

import { puzzles, run } from "./api.js";
import { editor } from "./editor.js";
import { h, prose, tell } from "./dom.js";
import { forget, keep, recall, solved } from "./store.js";
import { headline, marks, report } from "./verdict.js";
import { picture } from "./accesses.js";

const number = (i) => String(i + 1).padStart(2, "0");

export async function puzzleList() {
    const list = await puzzles();
    const done = list.filter((puzzle) => solved(puzzle.name)).length;
    return h(
        "section",
        null,
        h("h1", null, "Puzzles"),
        h(
            "p",
            { class: "lead" },
            "Twelve kernels of the program with their heart taken out. What you write is compiled, run instruction ",
            "by instruction, ",
            "compared with plain Rust, and run on the adapter of this machine where there is one.",
        ),
        h(
            "p",
            { class: "soft" },
            h("progress", { max: list.length, value: done, "aria-label": "Solved" }),
            ` ${done} of ${list.length} solved. Progress stays in this browser.`,
        ),
        h(
            "ol",
            { class: "cards" },
            list.map((puzzle, i) =>
                h(
                    "li",
                    null,
                    h(
                        "a",
                        { href: `#/puzzles/${puzzle.name}`, class: solved(puzzle.name) ? "solved" : null },
                        h("span", { class: "number" }, number(i)),
                        h("h2", null, puzzle.title),
                        h("p", null, puzzle.idea),
                        h(
                            "p",
                            { class: "state" },
                            solved(puzzle.name) ? "✓ solved" : recall(`text:${puzzle.name}`) ? "… begun" : " ",
                        ),
                    ),
                ),
            ),
        ),
    );
}

// What may be taken, in sentences.
function limits({ reads, writes, loads, conflicts, segments }) {
    const words = (n) => `${n} word${n === 1 ? "" : "s"}`;
    return [
        reads !== null &&
            `No invocation reads more than ${words(reads)} of buffers` +
                (writes !== null ? `, or writes more than ${words(writes)}.` : "."),
        loads !== null && `All invocations together load at most ${loads} times.`,
        conflicts === 0 && "There is no bank conflict.",
        segments !== null && "When 32 neighbours go to memory, they touch one segment of 128 bytes.",
    ].filter(Boolean);
}

export async function puzzlePage(name) {
    const list = await puzzles();
    const at = list.findIndex((puzzle) => puzzle.name === name);
    if (at < 0) throw new Error(`There is no puzzle “${name}”.`);
    const puzzle = list[at];
    const next = list[at + 1];
    const out = h(
        "div",
        { class: "out" },
        h("p", { class: "soft" }, "Nothing has run yet. Ctrl and Enter run, too."),
    );
    const state = h("span", { class: "state" });
    const after = h("div", { class: "after", hidden: true });
    const show = () => {
        state.textContent = solved(name) ? "✓ solved" : "";
    };
    const text = editor({
        value: recall(`text:${name}`) ?? puzzle.blank,
        label: `WGSL of the puzzle ${puzzle.title}`,
        onRun: go,
        onChange: (value) => keep(`text:${name}`, value),
    });
    const button = h("button", { type: "button", class: "primary", onclick: go }, "Run");
    const reset = h(
        "button",
        {
            type: "button",
            onclick: () => {
                text.value = puzzle.blank;
                forget(`text:${name}`);
            },
        },
        "Begin anew",
    );
    const revealAfter = () => {
        after.hidden = false;
        after.replaceChildren(
            h("p", null, prose(puzzle.after)),
            h(
                "p",
                null,
                h("a", { href: `#/lab/${puzzle.kernel}` }, "The program's kernel"),
                next && [" · ", h("a", { href: `#/puzzles/${next.name}` }, `Next: ${next.title} →`)],
            ),
        );
    };
    async function go() {
        if (button.disabled) return;
        button.disabled = true;
        button.textContent = "Running…";
        try {
            const verdict = await run("puzzle", name, text.value, puzzle.case);
            text.mark(marks(verdict));
            out.replaceChildren(
                report(verdict, puzzle.case, { puzzle: true, source: () => text.value, go: text.go }),
            );
            tell(headline(verdict, true).textContent);
            if (verdict.solved) {
                keep(`solved:${name}`, "yes");
                show();
                revealAfter();
            }
        } catch (error) {
            out.replaceChildren(h("p", { class: "bad" }, `✗ ${error.message}`));
        }
        button.disabled = false;
        button.textContent = "Run";
    }
    show();
    if (solved(name)) revealAfter();
    const element = h(
        "article",
        { class: "split" },
        h(
            "div",
            { class: "task" },
            h("p", { class: "crumbs" }, h("a", { href: "#/puzzles" }, "Puzzles"), ` · ${number(at)} `, state),
            h("h1", null, puzzle.title),
            h("p", { class: "formula" }, puzzle.formula),
            h("p", null, prose(puzzle.task)),
            h("h2", null, "What must hold"),
            h(
                "ul",
                { class: "plain" },
                h("li", null, "It is what the twin computes, and nothing races, strays or reads what nobody wrote."),
                limits(puzzle.limits).map((limit) => h("li", null, limit)),
            ),
            hints(puzzle.hints),
        ),
        h("div", { class: "work" }, text.element, h("div", { class: "row" }, button, reset), after, out),
        h(
            "div",
            { class: "who" },
            h("h2", null, "Who reads what"),
            picture(puzzle.case, puzzle.picture, "What a solution touches."),
        ),
    );
    element.dataset.title = puzzle.title;
    return element;
}

// Hints open one by one.
function hints(list) {
    const box = h("ol", { class: "hints" });
    const button = h("button", { type: "button", onclick: more });
    const label = () => {
        button.textContent = `Hint ${box.children.length + 1} of ${list.length}`;
    };
    function more() {
        box.append(h("li", null, prose(list[box.children.length])));
        if (box.children.length === list.length) button.hidden = true;
        else label();
    }
    label();
    return h("div", null, box, button);
}
