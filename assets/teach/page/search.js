// A search as it goes: loss and accuracy, ReLUs against their target, masks by layer, and the price.

import { get, post, served } from "./api.js";
import { chart } from "./chart.js";
import { bytes, count, h, tell, elsewhere } from "./dom.js";
import { keys, sitesView } from "./sites.js";

const STATES = { running: "Running", paused: "Paused", done: "Done" };
const PHASES = {
    teacher: "teacher: the network with all its ReLUs",
    search: "search: masks and weights together",
    finish: "finish: masks are fixed",
};

export async function searchPage(_, signal) {
    if (!(await served())) return elsewhere();
    const first = await get("api/search");
    let now = { ...first, lines: [] };
    let lines = [];
    let next = 0;
    const choice = h("input", {
        type: "range",
        min: "1",
        max: "50",
        value: String(first.percent || 10),
        "aria-label": "ReLUs kept, in percent",
    });
    const chosen = h("output", null, `${choice.value} %`);
    choice.addEventListener("input", () => {
        chosen.textContent = `${choice.value} %`;
        draw();
    });
    const selection = h(
        "select",
        { "aria-label": "By what ReLUs are chosen", onchange: () => draw() },
        h("option", { value: "" }, "what the loss would rise by"),
        h("option", { value: "penalty" }, "a penalty λ, as published"),
    );
    const lambda = h("input", {
        type: "range",
        min: "0",
        max: "3",
        step: "0.1",
        value: "2",
        "aria-label": "λ, by its decimal logarithm",
        oninput: () => draw(),
    });
    const pushed = h("output");
    const strength = h("label", { class: "budget" }, h("span", null, "λ ", pushed), lambda);
    const wanted = () => ({
        percent: Number(choice.value),
        lambda: selection.value ? Number((10 ** Number(lambda.value)).toPrecision(2)) : null,
    });
    const ask = (wish) => async () => {
        try {
            await post("api/search", wish());
            said.textContent = "";
        } catch (error) {
            said.textContent = `✗ ${error.message}`;
        }
        watch.now();
    };
    const start = h("button", {
        type: "button",
        class: "primary",
        onclick: ask(() => ({ action: "start", ...wanted() })),
    });
    const pause = h("button", {
        type: "button",
        onclick: ask(() => (now.state === "paused" ? { action: "resume", ...wanted() } : { action: "pause" })),
    });
    const said = h("p", { class: "said", role: "status" });
    const charts = h("div", { class: "charts" });
    const masks = h("div", { class: "masks" });
    const sites = sitesView();
    const legend = h("div", { hidden: true }, h("h2", null, "Masks, and what stands in for a ReLU"), keys());
    // Which checkpoint of which search is shown.
    let shown = { number: 0, mark: "" };
    const result = h("div");

    function draw() {
        start.textContent = now.number ? "Search with this budget" : "Start a search";
        const other = now.percent !== Number(choice.value);
        pause.textContent = now.state !== "paused" ? "Pause" : other ? `Go on with ${choice.value} %` : "Go on";
        // A search keeps its way of choosing; how hard λ pushes may change.
        strength.hidden = !selection.value;
        pushed.textContent = count(wanted().lambda ?? 0);
        pause.disabled = now.state !== "running" && now.state !== "paused";
        const last = lines.at(-1);
        if (now.state === "failed") said.textContent = `✗ ${now.failed}`;
        else if (now.state === "none")
            said.textContent = "No search has begun. It takes some minutes on a processor, seconds on a GPU.";
        else if (!last) said.textContent = "The kernels are compiled…";
        else said.textContent = `${STATES[now.state]} · ${PHASES[last.phase] ?? last.phase} · step ${last.step}`;
        charts.replaceChildren(
            chart("Loss", lines, [
                ["loss_ce", "cross-entropy", "solid"],
                ["loss_kd", "distance to the teacher", "dashed"],
            ]),
            chart(
                "Accuracy",
                lines,
                [
                    ["top1", "of the batch", "thin"],
                    ["val_top1", "on held-out images", "solid"],
                ],
                { most: 1, percent: true },
            ),
            chart(
                "ReLUs",
                lines,
                [
                    ["relu_count", "kept", "solid"],
                    ["relu_target", "target", "dashed"],
                ],
                { zero: true },
            ),
            now.prices ? price(lines, now.prices) : "",
        );
        masks.replaceChildren(...layers(lines));
        result.replaceChildren(...(now.summary ? outcome(now.summary) : []));
    }

    async function ask_for_sites() {
        if (!now.number) return;
        const same = shown.number === now.number;
        const answer = await get(`api/search/sites?number=${now.number}&mark=${same ? shown.mark : ""}`);
        if (!same || answer.sites.length) sites.show(answer.sites, !same);
        legend.hidden = sites.empty;
        shown = { number: now.number, mark: answer.mark ?? "" };
    }

    async function ask_server() {
        const answer = await get(`api/search?number=${now.number}&from=${next}`);
        if (answer.number !== now.number || answer.next < next) lines = [];
        if (answer.state !== now.state && answer.state === "done") tell("The search is done.");
        lines = lines.concat(answer.lines);
        // What was taken again after a pause counts once.
        const seen = new Map(lines.map((line) => [`${line.phase} ${line.step} ${"val_top1" in line}`, line]));
        if (seen.size < lines.length) lines = [...seen.values()];
        next = answer.next;
        now = answer;
    }

    const watch = {
        timer: 0,
        async now() {
            clearTimeout(watch.timer);
            if (signal.aborted) return;
            try {
                await ask_server();
                draw();
                await ask_for_sites();
            } catch (error) {
                said.textContent = `✗ ${error.message}`;
            }
            watch.timer = setTimeout(watch.now, now.state === "running" ? 700 : 3000);
        },
    };
    signal.addEventListener("abort", () => clearTimeout(watch.timer));
    draw();
    watch.now();
    return h(
        "section",
        null,
        h("h1", null, "A search, as it goes"),
        h(
            "p",
            { class: "lead" },
            "A ResNet-8 learns ten kinds of textures that the program draws. Then every ReLU gets a score, the target ",
            "falls, and those that are worth least become polynomials. A new search begins from the teacher that is ",
            "there; a paused one goes on with whatever budget stands here by then.",
        ),
        h(
            "div",
            { class: "row" },
            h("label", { class: "budget" }, h("span", null, "Keep ", chosen), choice),
            h("label", { class: "chooser" }, h("span", null, "Chosen by"), selection),
            strength,
            start,
            pause,
        ),
        h(
            "p",
            { class: "soft" },
            "Chosen by what the loss would rise by, as many ReLUs stay as the budget pays for, and there is no λ. The ",
            "published way pushes scores down by a penalty λ until the budget is met. A search keeps to its way; its ",
            "budget, and λ where there is one, may change while it pauses, until masks are fixed.",
        ),
        said,
        charts,
        h("h2", null, "ReLUs by layer"),
        masks,
        legend,
        sites.element,
        result,
    );
}

function price(lines, prices) {
    const total = Math.max(0, ...lines.map((line) => line.relu_count ?? 0));
    const priced = lines
        .filter((line) => Number.isFinite(line.relu_count))
        .map((line) => ({
            step: line.step,
            phase: line.phase,
            price: (line.relu_count * prices.relu + (total - line.relu_count) * prices.square) / 1e6,
        }));
    const figure = chart("Price in megabytes", priced, [["price", "sent by a party", "solid"]], {
        zero: true,
        last: lines.at(-1)?.step,
    });
    figure.append(
        h(
            "p",
            { class: "soft" },
            `In ${prices.protocol} a ReLU sends ${bytes(prices.relu)}, the square of a polynomial ` +
                `${bytes(prices.square)}; linear layers come on top.`,
        ),
    );
    return figure;
}

function layers(lines) {
    const names = Object.keys(
        lines.findLast((line) => Object.keys(line).some((key) => key.startsWith("kept/"))) ?? {},
    ).filter((key) => key.startsWith("kept/"));
    if (!names.length) return [h("p", { class: "soft" }, "Masks begin with the search, after the teacher.")];
    return names.map((name) => {
        const values = lines.map((line) => line[name]).filter(Number.isFinite);
        const [total, kept] = [Math.max(...values), values.at(-1)];
        const bar = h("meter", {
            min: 0,
            max: total,
            value: kept,
            "aria-label": `${name.slice(5)}: ${kept} of ${total} ReLUs`,
        });
        return h(
            "div",
            { class: "mask" },
            h("span", null, name.slice(5)),
            bar,
            h("span", { class: "figure" }, `${count(kept)} of ${count(total)}`),
        );
    });
}

function outcome(summary) {
    const percent = (share) => `${(100 * share).toFixed(1)} %`;
    return [
        h("h2", null, "What came of it"),
        h(
            "dl",
            { class: "facts" },
            [
                ["ReLUs", `${count(summary.relu_count)} of ${count(summary.relu_total)}`],
                ["test images right", percent(summary.result.test_top1)],
                ["with all ReLUs", percent(summary.teacher.test_top1)],
            ].map(([key, value]) => h("div", null, h("dt", null, key), h("dd", null, value))),
        ),
    ];
}
