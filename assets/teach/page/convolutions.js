// Three ways to the same convolution, side by side: what each changes, what it counts, how long it takes.

import { constant, post, served } from "./api.js";
import { listing } from "./editor.js";
import { count, h, tell, time } from "./dom.js";

const few = (n) => (n >= 100 ? count(n) : String(Number(n.toPrecision(3))));

// What is counted of a version, each by its name.
const COUNTED = [
    ["outputs of an invocation", ({ outputs, tally }) => few(outputs / tally.invocations)],
    ["loads from buffers, by an invocation", ({ tally }) => few(tally.loads / tally.invocations)],
    ["stores to buffers, by an invocation", ({ tally }) => few(tally.stores / tally.invocations)],
    ["reads of workgroup memory, by an invocation", ({ tally }) => few(tally.workgroup_loads / tally.invocations)],
    ["loads from buffers, for an output", ({ outputs, tally }) => few(tally.loads / outputs)],
    ["reads of workgroup memory, for an output", ({ outputs, tally }) => few(tally.workgroup_loads / outputs)],
    ["flops for a load from buffers", ({ tally }) => few(tally.flops / tally.loads)],
    ["bank conflicts", ({ tally }) => count(tally.bank_conflicts)],
];

// The sums alone: 16 × 16 channels of 32 × 32 pixels, nine products each.
const FLOPS = 2 * 16 * 16 * 32 * 32 * 9;

export async function convolutionsPage(_, signal) {
    const versions = await constant("api/convolutions");
    const measures = await served();
    const times = versions.map(() => h("td", null, "–"));
    const rates = versions.map(() => h("td", null, "–"));
    const images = versions[0].timed;
    const said = h("p", { class: "said", role: "status" });
    const button = h("button", { type: "button", class: "primary", onclick: measure }, "Measure");
    async function measure() {
        button.disabled = true;
        const seconds = [];
        for (const [i, { name, title }] of versions.entries()) {
            if (signal.aborted) return;
            said.textContent = `${title} runs…`;
            try {
                const verdict = await post("api/run", { kind: "convolution", name, source: "" });
                if (!verdict.measured) throw new Error(verdict.unmeasured ?? verdict.ended ?? "it was not measured");
                const wrong = verdict.measured.results.find((result) => result.first);
                if (wrong) throw new Error(`${wrong.name} is not what the twin computes`);
                seconds.push(verdict.measured.seconds);
                times[i].textContent = time(verdict.measured.seconds);
                rates[i].textContent = `${few((images * FLOPS) / verdict.measured.seconds / 1e9)} GFLOP/s`;
                said.textContent = `On ${verdict.measured.adapter}.`;
            } catch (error) {
                said.textContent = `✗ ${title}: ${error.message}`;
                button.disabled = false;
                return;
            }
        }
        const ratio = few(seconds[0] / Math.min(...seconds));
        said.textContent += ` The fastest takes ${ratio} times less than the direct one.`;
        tell(said.textContent);
        button.disabled = false;
    }
    const row = (name, cells) => h("tr", null, h("th", { scope: "row" }, name), cells);
    const card = ({ title, change, place, wgsl }) =>
        h(
            "div",
            { class: "version" },
            h("h2", null, title),
            h("p", null, change),
            h(
                "p",
                null,
                h("a", { href: place }, place.startsWith("#/lab") ? "Open it in the lab" : "Write it yourself"),
            ),
            h("details", null, h("summary", null, "WGSL"), listing(wgsl, `WGSL of ${title}`)),
        );
    return h(
        "section",
        null,
        h("h1", null, "A convolution, three times"),
        h(
            "p",
            { class: "lead" },
            "The same sums of the same shape: 16 channels of 32\u00a0×\u00a032 pixels into 16, with 3\u00a0×\u00a03 ",
            "weights. Each version keeps what the one before fetched again and again.",
        ),
        h("div", { class: "versions" }, versions.map(card)),
        h(
            "div",
            { class: "scroll", tabindex: "0" },
            h(
                "table",
                { class: "figures" },
                h(
                    "thead",
                    null,
                    h("tr", null, h("th"), versions.map(({ title }) => h("th", { scope: "col" }, title))),
                ),
                h(
                    "tbody",
                    null,
                    COUNTED.map(([name, of]) => row(name, versions.map((version) => h("td", null, of(version))))),
                    measures && [row(`time for ${images} images`, times), row("at that rate", rates)],
                ),
            ),
        ),
        measures
            ? h("div", { class: "row" }, button, said)
            : h("p", { class: "soft" }, h("code", null, "autorep teach"), " measures their times on your machine."),
        h(
            "p",
            { class: "soft" },
            "Counted by the emulator for one image; a load of four words at once counts as one. Where a processor stands ",
            "in for a GPU, workgroup memory is ordinary memory: there tiles alone bring nothing, registers do.",
        ),
    );
}
