// Lines over the steps of a run.

import { count, h, svg } from "./dom.js";

// Lines over steps. Each has its own stroke, so that none needs its colour. With `least` the scale is logarithmic from
// there on.
export function chart(title, lines, series, { most, zero, percent, last, least } = {}) {
    const [width, height, left, bottom] = [420, 190, 46, 22];
    const scaled = (value) => (least ? Math.log10(Math.max(value, least)) : value);
    const points = series.map(([key]) =>
        lines.filter((line) => Number.isFinite(line[key])).map((line) => [line.step, scaled(line[key])]),
    );
    const all = points.flat();
    const lastStep = last ?? Math.max(1, ...lines.map((line) => line.step));
    const values = all.map(([, y]) => y);
    const top = least ? Math.ceil(Math.max(...values, scaled(least) + 2)) : (most ?? (Math.max(0, ...values) || 1));
    const low = least ? scaled(least) : zero || most ? 0 : Math.min(0, ...values);
    const x = (step) => left + ((width - left - 8) * step) / lastStep;
    const y = (value) => 8 + (height - 8 - bottom) * (1 - (value - low) / (top - low || 1));
    const number = (value) =>
        least ? (10 ** value).toExponential(0) : value >= 1000 ? count(value) : Number(value.toPrecision(2));
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
            series.map(([, name, kind], i) => legend(kind, `${name} ${lastOf(points[i])}`)),
        ),
    );
}

// An entry of a legend: a stroke, and what it means.
export function legend(kind, name) {
    const stroke = svg("path", { class: `line ${kind}`, d: "M1 4H23" });
    return h("span", { class: "key" }, svg("svg", { viewBox: "0 0 24 8", class: "stroke" }, stroke), ` ${name}`);
}

// At most 400 points of a line are drawn.
function path(list, x, y) {
    const stride = Math.ceil(list.length / 400);
    const shown = list.filter((_, i) => i % stride === 0 || i === list.length - 1);
    return shown.map(([step, value], i) => `${i ? "L" : "M"}${x(step).toFixed(1)} ${y(value).toFixed(1)}`).join("");
}
