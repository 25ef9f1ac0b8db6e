// The sites of a search: which elements of each channel keep their ReLU, and how the polynomial of the others bends
// over what the channel is given.

import { legend } from "./chart.js";
import { colour, count, h, svg } from "./dom.js";

// Most cells that a row of maps is wide, gaps included.
const ROW = 144;

export function sitesView() {
    const element = h("div", { class: "sites" });
    const views = new Map();
    return {
        element,
        // What the server says of all sites; the sites of another search begin anew.
        show(sites, anew) {
            if (anew) {
                views.clear();
                element.replaceChildren();
            }
            for (const site of sites) {
                if (!views.has(site.name)) {
                    const view = siteView(site);
                    views.set(site.name, view);
                    element.append(view.element);
                }
                views.get(site.name).show(site);
            }
        },
        get empty() {
            return !views.size;
        },
    };
}

function siteView({ name, shape: [channels, height, width] }) {
    // A power of two, so that rows are full where channels are one, too.
    const columns = Math.min(channels, 2 ** Math.floor(Math.log2(Math.max(1, ROW / (width + 1)))));
    const canvas = h("canvas", {
        width: columns * (width + 1) + 1,
        height: Math.ceil(channels / columns) * (height + 1) + 1,
        role: "img",
        onclick: ({ offsetX, offsetY }) => {
            const scale = canvas.width / canvas.clientWidth;
            const [column, row] = [(offsetX * scale) / (width + 1), (offsetY * scale) / (height + 1)].map(Math.floor);
            const picked = row * columns + column;
            if (column < columns && picked < channels) choose(picked);
        },
    });
    const range = h("input", {
        type: "range",
        min: "0",
        max: String(channels - 1),
        value: "0",
        "aria-label": `Channel of ${name}`,
        oninput: () => choose(Number(range.value)),
    });
    const title = h("h3", null, name);
    const label = h("output", { class: "soft" });
    const curve = h("div");
    let [now, before, channel] = [null, null, 0];

    function choose(picked) {
        channel = picked;
        range.value = String(picked);
        draw();
    }

    function draw() {
        if (!now) return;
        const size = height * width;
        const kept = (c) => [...now.mask.slice(c * size, (c + 1) * size)].filter((bit) => bit === "1").length;
        maps(canvas, now.mask, { channels, height, width, columns, channel });
        const all = [...now.mask].filter((bit) => bit === "1").length;
        canvas.setAttribute(
            "aria-label",
            `${name}: ${all} of ${now.mask.length} elements keep their ReLU, ${kept(channel)} of channel ${channel}`,
        );
        label.textContent = `channel ${channel}: ${count(kept(channel))} of ${count(size)} keep their ReLU`;
        curve.replaceChildren(bend(name, channel, now, before));
    }

    return {
        element: h("figure", { class: "site" }, title, canvas, h("label", null, range, label), curve),
        show(site) {
            [before, now] = [now, site];
            draw();
        },
    };
}

// Every channel as a small picture, row by row; an element that keeps its ReLU is coloured, one that lost it is grey.
function maps(canvas, mask, { channels, height, width, columns, channel }) {
    const pen = canvas.getContext("2d");
    const [kept, lost, mark] = ["--accent", "--cell", "--ink"].map(colour);
    pen.clearRect(0, 0, canvas.width, canvas.height);
    for (let c = 0; c < channels; c++) {
        const [left, top] = [(c % columns) * (width + 1) + 1, Math.floor(c / columns) * (height + 1) + 1];
        if (c === channel) {
            pen.fillStyle = mark;
            pen.fillRect(left - 1, top - 1, width + 2, height + 2);
        }
        pen.fillStyle = lost;
        pen.fillRect(left, top, width, height);
        pen.fillStyle = kept;
        for (let i = 0; i < height * width; i++) {
            if (mask[c * height * width + i] !== "1") continue;
            pen.fillRect(left + (i % width), top + Math.floor(i / width), 1, 1);
        }
    }
}

// Tenths, none of them below nothing.
const tenths = (value) => String(Number(value.toFixed(1))).replace("-", "−");

// The polynomial of a channel beside ReLU, over the normal density of its inputs; thin, as it was a checkpoint before.
function bend(name, channel, now, before) {
    const [width, height] = [420, 190];
    const [mean, variance] = now.moments[channel];
    const spread = Math.sqrt(Math.max(variance, 1e-12));
    const [from, to] = [mean - 3.5 * spread, mean + 3.5 * spread];
    const steps = Array.from({ length: 61 }, (_, i) => from + ((to - from) * i) / 60);
    const polynomial = ([c0, c1, c2]) => (x) => c0 + (c1 + c2 * x) * x;
    const relu = (x) => Math.max(x, 0);
    const present = polynomial(now.coefficients[channel]);
    const earlier = before && polynomial(before.coefficients[channel]);
    const values = steps.flatMap((x) => [relu(x), present(x)]);
    const [low, high] = [Math.min(...values), Math.max(...values)];
    const px = (x) => (width * (x - from)) / (to - from);
    const py = (y) => 8 + (height - 26) * (1 - (y - low) / (high - low || 1));
    const line = (f) => steps.map((x, i) => `${i ? "L" : "M"}${px(x).toFixed(1)} ${py(f(x)).toFixed(1)}`).join("");
    const floor = height - 18;
    const density = steps.map((x) => {
        const far = (x - mean) / spread;
        return `L${px(x).toFixed(1)} ${(floor - 0.8 * floor * Math.exp(-0.5 * far * far)).toFixed(1)}`;
    });
    const text = (x, anchor, what) => {
        const t = svg("text", { x, y: height - 4, "text-anchor": anchor });
        t.textContent = what;
        return t;
    };
    const [c0, c1, c2] = now.coefficients[channel].map((c) => Number(c.toPrecision(2)));
    const formula = `${c0} + ${c1}·x + ${c2}·x²`.replaceAll("+ -", "− ");
    return h(
        "div",
        { class: "bend" },
        svg(
            "svg",
            {
                viewBox: `0 0 ${width} ${height}`,
                role: "img",
                "aria-label":
                    `${name}, channel ${channel}: ${formula}, over inputs of mean ${mean.toFixed(2)} ` +
                    `and deviation ${spread.toFixed(2)}`,
            },
            svg("path", { class: "density", d: `M0 ${floor}${density.join("")}L${width} ${floor}Z` }),
            from < 0 && to > 0 ? svg("line", { class: "grid", x1: px(0), x2: px(0), y1: 0, y2: floor }) : [],
            earlier ? svg("path", { class: "line thin", d: line(earlier) }) : [],
            svg("path", { class: "line dashed", d: line(relu) }),
            svg("path", { class: "line solid", d: line(present) }),
            text(2, "start", tenths(from)),
            text(px(mean), "middle", `mean ${tenths(mean)}`),
            text(width - 2, "end", tenths(to)),
        ),
        h("p", { class: "soft" }, formula),
    );
}

// What the strokes mean, once for all.
export const keys = () =>
    h(
        "p",
        { class: "soft" },
        [
            ["solid", "polynomial"],
            ["thin", "at the checkpoint before"],
            ["dashed", "ReLU"],
        ].map(([kind, name]) => legend(kind, name)),
        "The hill is the normal density that the polynomial is fitted to. In the maps an element that keeps its ReLU ",
        "is coloured, one that lost it grey; the framed channel is the one that is drawn below.",
    );
