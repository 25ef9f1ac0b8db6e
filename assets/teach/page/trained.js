// The page of a recorded run: what came of it here and there, and the tape of its step.

import { catalog, served } from "./api.js";
import { available, open } from "./browser.js";
import { chart } from "./chart.js";
import { bytes, count, h, short, tell, time } from "./dom.js";
import { compared, moved, read, replay } from "./replay.js";

const percent = (share) => (Number.isFinite(share) ? `${Number((100 * share).toPrecision(2))} %` : "not a number");

export async function trainedPage(_, signal) {
    const said = h("p", { class: "said", role: "status" });
    const charts = h("div", { class: "charts few" });
    const facts = h("div");
    const change = h(
        "select",
        { "aria-label": "Begin" },
        h("option", { value: "" }, "as recorded"),
        h("option", { value: "moved" }, "with one weight moved"),
    );
    const button = h("button", { type: "button", class: "primary", disabled: true }, "Train in this browser");
    const section = h(
        "section",
        null,
        h("h1", null, "Trained in this browser"),
        h(
            "p",
            { class: "lead" },
            "The program has trained a small network and kept the tape: what lay in memory, every kernel's text, and ",
            "the order of dispatches. This browser can take the same steps by WebGPU, on its own GPU. Other hardware ",
            "rounds otherwise; the losses must agree all the same.",
        ),
        h("div", { class: "row" }, change, button),
        said,
        charts,
        facts,
    );
    // The page is there while a record is taken, which needs a minute where the processor stands in for a GPU.
    load();
    return section;

    async function load() {
        said.textContent = (await served()) ? "The program records a run…" : "The record is fetched…";
        let record;
        try {
            const response = await fetch("api/record");
            if (!response.ok) throw new Error((await served()) ? await response.text() : "this copy has no record");
            record = read(await response.arrayBuffer());
        } catch (error) {
            said.textContent = `✗ ${error.message}`;
            return;
        }
        if (signal.aborted) return;
        draw(record, []);
        facts.replaceChildren(...(await about(record)));
        if (!available()) {
            said.textContent = "This browser has no WebGPU: what is shown is the native run.";
            return;
        }
        said.textContent = `${record.steps.length} steps of ${record.batch} images are ready.`;
        button.disabled = false;
        button.addEventListener("click", () => train(record));
    }

    async function train(record) {
        button.disabled = true;
        said.className = "said";
        said.textContent = "The kernels are compiled…";
        const begun = performance.now();
        try {
            const taken = await replay(await open(), record, {
                change: change.value ? moved(record) : undefined,
                signal,
                onStep: (steps) => {
                    said.textContent = `Step ${steps.length} of ${record.steps.length}`;
                    draw(record, steps);
                },
            });
            if (signal.aborted) return;
            const { shares, allowed, most, off } = compared(record, taken);
            const spent = time((performance.now() - begun) / 1000);
            said.className = off === null ? "said good" : "said bad";
            said.textContent =
                off === null
                    ? `✓ The same run, in ${spent}: losses differ by ${percent(most)} at most, which is rounding.`
                    : `✗ Another run: the loss of step ${off + 1} differs by ${percent(shares[off])}, ` +
                      `and rounding explains ${percent(allowed[off])}.` +
                      (change.value ? " One weight of tens of thousands was enough." : "");
            tell(said.textContent);
        } catch (error) {
            said.className = "said bad";
            said.textContent = `✗ ${error.message}`;
        }
        button.disabled = false;
    }

    function draw(record, taken) {
        const { shares, allowed } = compared(record, taken);
        const lines = record.native.map(({ loss, right }, step) => ({
            step: step + 1,
            native: loss,
            here: taken[step]?.loss,
            right,
            rightHere: taken[step]?.right,
            share: shares[step],
            allowed: allowed[step],
        }));
        charts.replaceChildren(
            chart("Loss", lines, [
                ["here", "this browser", "solid"],
                ["native", "natively", "dashed"],
            ]),
            chart(
                "Difference, as a share of the loss",
                lines,
                [
                    ["share", "this browser", "solid"],
                    ["allowed", "what rounding explains", "dashed"],
                ],
                { least: 1e-8 },
            ),
            chart(
                "Images of the batch told right",
                lines,
                [
                    ["rightHere", "this browser", "solid"],
                    ["right", "natively", "dashed"],
                ],
                { most: 1, percent: true },
            ),
        );
    }
}

// What a record holds, and its tape.
async function about(record) {
    const known = new Set((await catalog()).map(({ name }) => name));
    const held = record.buffers.reduce((sum, { bytes }) => sum + bytes, 0);
    const columns = ["Kernel", "For", "Workgroups"].map((name) => h("th", { scope: "col" }, name));
    const rows = record.tape.map(({ shader, owner, grid }) => {
        const { name } = record.shaders[shader];
        return h(
            "tr",
            null,
            h("th", { scope: "row" }, known.has(name) ? h("a", { href: `#/lab/${name}` }, name) : name),
            h("td", null, owner),
            h("td", null, grid.filter((n, axis) => axis === 0 || n > 1).map(count).join(" × ")),
        );
    });
    return [
        h(
            "dl",
            { class: "facts" },
            [
                ["network", record.model],
                ["recorded on", record.adapter],
                ["dispatches in a step", count(record.tape.length)],
                ["texts of kernels", count(record.shaders.length)],
                ["memory", bytes(held)],
                ["loss, first and last step", [0, -1].map((at) => short(record.native.at(at).loss)).join(" → ")],
            ].map(([key, value]) => h("div", null, h("dt", null, key), h("dd", null, value))),
        ),
        h(
            "details",
            null,
            h("summary", null, "The tape of a step"),
            h(
                "div",
                { class: "scroll", tabindex: "0" },
                h(
                    "table",
                    null,
                    h("thead", null, h("tr", null, columns)),
                    h("tbody", null, rows),
                ),
            ),
        ),
    ];
}
