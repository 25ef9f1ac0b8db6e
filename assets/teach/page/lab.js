// Every kernel: card, WGSL to change and run, template, twin.

import { catalog, kernel, run } from "./api.js";
import { editor, listing } from "./editor.js";
import { h, tabs, tell } from "./dom.js";
import { headline, marks, report } from "./verdict.js";

export async function labPage(name) {
    const list = await catalog();
    const page = await kernel(name ?? "gate.forward");
    const card = () =>
        h("pre", { class: "listing card", tabindex: "0", role: "region", "aria-label": "Kernel card" }, page.card);
    // There the card stands beside the texts, not among them.
    const wide = matchMedia("(min-width: 100rem)").matches;
    const element = h(
        "article",
        { class: "lab" },
        h(
            "header",
            { class: "row wide" },
            h(
                "div",
                null,
                h("h1", null, page.name),
                h("p", { class: "soft" }, `shaders/${page.file}, for ${page.what}`),
            ),
            chooser(list, page.name),
        ),
        h(
            "div",
            { class: "panes" },
            h(
                "div",
                { class: "work" },
                page.case
                    ? bench(page)
                    : [
                          h(
                              "p",
                              { class: "soft" },
                              "To read: no data is laid out for this kernel here. ",
                              h("code", null, `autorep shaders ${page.file}`),
                              " prints it, too.",
                          ),
                          listing(page.wgsl, "WGSL"),
                      ],
            ),
            h("div", { class: "beside" }, card()),
            tabs(
                "Texts",
                [
                    ["Card", card()],
                    ["Twin", listing(page.twin, "The twin in Rust")],
                    ["Template", listing(page.template, "The template")],
                    ["Convolutions", versions()],
                ],
                { start: wide ? 1 : 0 },
            ),
        ),
    );
    element.dataset.title = page.name;
    return element;
}

function chooser(list, now) {
    const families = new Map();
    for (const entry of list) {
        if (!families.has(entry.file)) families.set(entry.file, []);
        families.get(entry.file).push(entry);
    }
    return h(
        "label",
        { class: "chooser" },
        h("span", null, "Kernel"),
        h(
            "select",
            {
                onchange: (event) => {
                    location.hash = `#/lab/${event.target.value}`;
                },
            },
            [...families].map(([file, entries]) =>
                h(
                    "optgroup",
                    { label: file },
                    entries.map((entry) =>
                        h(
                            "option",
                            { value: entry.name, selected: entry.name === now },
                            entry.runs ? `${entry.name} ▸ runs` : entry.name,
                        ),
                    ),
                ),
            ),
        ),
    );
}

function bench(page) {
    const out = h(
        "div",
        { class: "out" },
        h(
            "p",
            { class: "soft" },
            "Change a line, take out a barrier, shift an index: then run. Ctrl and Enter run, too.",
        ),
    );
    const text = editor({ value: page.wgsl, label: `WGSL of ${page.name}`, onRun: go });
    const button = h("button", { type: "button", class: "primary", onclick: go }, "Run");
    const reset = h(
        "button",
        {
            type: "button",
            onclick: () => {
                text.value = page.wgsl;
            },
        },
        "As it was",
    );
    async function go() {
        if (button.disabled) return;
        button.disabled = true;
        button.textContent = "Running…";
        try {
            const verdict = await run("kernel", page.name, text.value, page.case);
            text.mark(marks(verdict));
            out.replaceChildren(report(verdict, page.case, { puzzle: false, source: () => text.value, go: text.go }));
            tell(headline(verdict, false).textContent);
        } catch (error) {
            out.replaceChildren(h("p", { class: "bad" }, `✗ ${error.message}`));
        }
        button.disabled = false;
        button.textContent = "Run";
    }
    return [text.element, h("div", { class: "row" }, button, reset), out];
}

// Three ways to the same sums.
function versions() {
    const row = (name, href, change, words, flops) =>
        h(
            "tr",
            null,
            h("th", { scope: "row" }, h("a", { href }, name)),
            h("td", null, change),
            h("td", null, words),
            h("td", null, flops),
        );
    return h(
        "div",
        { class: "versions" },
        h("p", null, "A convolution in three versions. Each keeps what the one before fetched again and again."),
        h(
            "div",
            { class: "scroll", tabindex: "0" },
            h(
                "table",
                null,
                h(
                    "thead",
                    null,
                    h(
                        "tr",
                        null,
                        [
                            "Version",
                            "What it changes",
                            "Where operands wait",
                            "Products for a word fetched from there",
                        ].map((name) => h("th", { scope: "col" }, name)),
                    ),
                ),
                h(
                    "tbody",
                    null,
                    row(
                        "direct",
                        "#/puzzles/convolution",
                        "An invocation an output; every product fetches both of its operands.",
                        "buffers",
                        "½",
                    ),
                    row(
                        "shared-memory tiles",
                        "#/puzzles/tiles",
                        "A workgroup brings a patch and its weights in once; products read workgroup memory.",
                        "workgroup memory",
                        "½, but 9 times fewer words of buffers",
                    ),
                    row(
                        "register tiles",
                        "#/lab/conv2d_tiled.gather",
                        "An invocation owns 4 × 4 outputs and more: 8 words of workgroup memory feed 16 products.",
                        "registers",
                        "2 and more",
                    ),
                ),
            ),
        ),
        h("p", { class: "soft" }, "The figures of each stand below its editor when it has run."),
    );
}
