// A search as it goes: loss and accuracy, ReLUs against their target, masks by layer, and the price.

import { get, post, served } from "./api.js";
import { bytes, count, h, svg, tell, elsewhere } from "./dom.js";

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
        onclick: ask(() => ({ action: "start", percent: Number(choice.value) })),
    });
    const pause = h("button", {
        type: "button",
        onclick: ask(() => ({ action: now.state === "paused" ? "resume" : "pause" })),
    });
    const said = h("p", { class: "said", role: "status" });
    const charts = h("div", { class: "charts" });
    const masks = h("div", { class: "masks" });
    const result = h("div");

    function draw() {
        start.textContent = now.number ? "Search with this budget" : "Start a search";
        pause.textContent = now.state === "paused" ? "Go on" : "Pause";
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
            "falls, ",
            "and those that are worth least become polynomials. A new budget begins from the teacher that is there.",
        ),
        h(
            "div",
            { class: "row" },
            h("label", { class: "budget" }, h("span", null, "Keep ", chosen), choice),
            start,
            pause,
        ),
        said,
        charts,
        h("h2", null, "ReLUs by layer"),
        masks,
        result,
    );
}

// Lines over steps. Each has its own stroke, so that none needs its colour.
function chart(title, lines, series, { most, zero, percent, last } = {}) {
    const [width, height, left, bottom] = [420, 190, 46, 22];
    const points = series.map(([key]) =>
        lines.filter((line) => Number.isFinite(line[key])).map((line) => [line.step, line[key]]),
    );
    const all = points.flat();
    const lastStep = last ?? Math.max(1, ...lines.map((line) => line.step));
    const top = most ?? (Math.max(0, ...all.map(([, y]) => y)) || 1);
    const low = zero || most ? 0 : Math.min(0, ...all.map(([, y]) => y));
    const x = (step) => left + ((width - left - 8) * step) / lastStep;
    const y = (value) => 8 + (height - 8 - bottom) * (1 - (value - low) / (top - low || 1));
    const number = (value) => (value >= 1000 ? count(value) : Number(value.toPrecision(2)));
    // An axis without a line has no scale.
    const label = (value) => (!all.length ? "" : percent ? `${Math.round(100 * value)} %` : number(value));
    const text = (px, py, what, anchor = "end") => {
        const t = svg("text", { x: px, y: py, "text-anchor": anchor });
        t.textContent = what;
        return t;
    };
    const lastOf = (list) => (list.length ? label(list.at(-1)[1]) : "–");
    const phases = lines.filter((line, i) => i > 0 && line.phase !== lines[i - 1].phase).map((line) => line.step);
    return h(
        "figure",
        { class: "chart" },
        h("h3", null, title),
        svg(
            "svg",
            {
                viewBox: `0 0 ${width} ${height}`,
                role: "img",
                "aria-label": `${title}: ${series.map(([, name], i) => `${name} ${lastOf(points[i])}`).join(", ")}`,
            },
            [0, 0.5, 1]
                .map((share) => [
                    svg("line", {
                        class: "grid",
                        x1: left,
                        x2: width - 8,
                        y1: y(low + share * (top - low)),
                        y2: y(low + share * (top - low)),
                    }),
                    text(left - 6, y(low + share * (top - low)) + 4, label(low + share * (top - low))),
                ])
                .flat(),
            phases.map((step) =>
                svg("line", { class: "phase", x1: x(step), x2: x(step), y1: 8, y2: height - bottom }),
            ),
            points.map((list, i) => svg("path", { class: `line ${series[i][2]}`, d: path(list, x, y) })),
            text(left, height - 6, "0", "start"),
            text(width - 8, height - 6, `step ${count(lastStep)}`),
        ),
        h(
            "figcaption",
            null,
            series.map(([, name, kind], i) =>
                h(
                    "span",
                    { class: "key" },
                    svg(
                        "svg",
                        { viewBox: "0 0 24 8", class: "stroke" },
                        svg("path", { class: `line ${kind}`, d: "M1 4H23" }),
                    ),
                    ` ${name} ${lastOf(points[i])}`,
                ),
            ),
        ),
    );
}

// At most 400 points of a line are drawn.
function path(list, x, y) {
    const stride = Math.ceil(list.length / 400);
    const shown = list.filter((_, i) => i % stride === 0 || i === list.length - 1);
    return shown.map(([step, value], i) => `${i ? "L" : "M"}${x(step).toFixed(1)} ${y(value).toFixed(1)}`).join("");
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
