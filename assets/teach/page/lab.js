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
                h(
                    "p",
                    { class: "soft" },
                    `shaders/${page.file}, for ${page.what}. `,
                    page.file.startsWith("conv2d/") &&
                        h("a", { href: "#/convolutions" }, "Three versions of a convolution"),
                ),
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
