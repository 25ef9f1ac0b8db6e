// Who reads and writes what: the buffers as grids of words, one invocation at a time, and the banks of
// workgroup memory where its neighbours meet.

import { colour, h } from "./dom.js";

const BANKS = 32;
const WARP = 32;

// Rows as the server writes them.
const [GROUP, LANE, BUFFER, WORD, KIND, LINE] = [0, 1, 2, 3, 4, 5];
const KINDS = ["reads", "writes", "updates"];

// `given` has the buffers, `accesses` the rows, `bindings` the buffer of each binding.
export function picture(given, accesses, caption, onLine) {
    const { rows, lanes } = accesses;
    if (!rows.length) return h("p", { class: "soft" }, "Nothing was read or written.");
    const bindings = given.stages[given.edited].bindings;
    const byInvocation = new Map();
    for (const row of rows) {
        const key = row[GROUP] * lanes + row[LANE];
        if (!byInvocation.has(key)) byInvocation.set(key, []);
        byInvocation.get(key).push(row);
    }
    const touched = [...new Set(rows.map((row) => row[BUFFER]))].filter((b) => b >= 0).sort((a, b) => a - b);
    const sheets = touched.map((binding) => sheet(given.buffers[bindings[binding]], binding));
    const shared = rows.some((row) => row[BUFFER] < 0) ? banks() : null;

    // Of many workgroups the first are told.
    const group = slider("Workgroup", rows.at(-1)[GROUP]);
    const lane = slider("Invocation", lanes - 1);
    const step = slider("Step", 0);
    const words = h("p", { class: "said", role: "status" });
    for (const each of [group, lane])
        each.input.addEventListener("input", () => {
            step.input.value = "0";
            draw();
        });
    step.input.addEventListener("input", draw);

    function draw() {
        const [g, l] = [Number(group.input.value), Number(lane.input.value)];
        const own = byInvocation.get(g * lanes + l) ?? [];
        step.input.max = String(own.length);
        step.input.disabled = own.length === 0;
        const at = Number(step.input.value);
        const now = own[at - 1];
        const shown = at === 0 ? own : own.slice(0, at);
        [group, lane, step].forEach((each) => each.show());
        if (!own.length) words.textContent = `Invocation ${l} of workgroup ${g} touches no memory.`;
        else if (!now) {
            const buffers = own.filter((row) => row[BUFFER] >= 0);
            const reads = buffers.filter((row) => row[KIND] === 0).length;
            words.textContent =
                `Invocation ${l} of workgroup ${g} reads ${reads} and writes ${buffers.length - reads} ` +
                `words of buffers` +
                (buffers.length < own.length
                    ? `, and goes to workgroup memory ${own.length - buffers.length} times.`
                    : ".");
        } else {
            const name = now[BUFFER] < 0 ? "workgroup memory" : given.buffers[bindings[now[BUFFER]]].name;
            words.textContent = `Step ${at}: ${KINDS[now[KIND]]} ${name}[${now[WORD]}], line ${now[LINE]}.`;
            onLine?.(now[LINE]);
        }
        sheets.forEach((each) => each.draw(shown, now));
        shared?.draw(rows, g, l, now);
    }
    const element = h(
        "figure",
        { class: "accesses" },
        h("div", { class: "sliders" }, group.element, lane.element, step.element),
        words,
        h(
            "div",
            { class: "sheets" },
            sheets.map((each) => each.element),
        ),
        shared?.element,
        h(
            "figcaption",
            null,
            caption,
            " ",
            h("span", { class: "key" }, h("i", { class: "reads" }), " read "),
            h("span", { class: "key" }, h("i", { class: "writes" }), " written"),
        ),
    );
    // Canvases want colours and widths, which come with the page.
    requestAnimationFrame(draw);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
    return element;
}

function slider(name, max) {
    const value = h("output", null, `${name} 0`);
    const input = h("input", { type: "range", min: "0", max: String(max), value: "0", "aria-label": name });
    return {
        input,
        show() {
            value.textContent = name === "Step" && input.value === "0" ? "All steps" : `${name} ${input.value}`;
        },
        element: h("label", null, h("span", null, value), input),
    };
}

// How a buffer is laid out: the last extent goes across, the one before it down, and planes stand side by side.
function layout(shape, length) {
    let [across, ...others] = [...shape].reverse();
    if (!others.length) return { across: Math.min(length, 32), down: Math.ceil(length / 32), beside: 1 };
    // Kernels of 3 × 3, and vectors of four, go in one row.
    while (across < 8 && others.length > 1 && across * others[0] <= 64) across *= others.shift();
    const down = Math.max(others[0], 1);
    return { across, down, beside: Math.max(1, Math.floor(72 / (across + 1))) };
}

function sheet(buffer, binding) {
    const length = buffer.contents.kind === "unwritten" ? buffer.contents.values : buffer.contents.values.length;
    const { across, down, beside } = layout(buffer.shape, length);
    const planes = Math.ceil(length / (across * down));
    const columns = Math.min(planes, beside) * (across + 1) - 1;
    const lines = Math.ceil(planes / beside) * (down + 1) - 1;
    const canvas = h("canvas", { role: "img" });
    const title = h("figcaption", null, h("b", null, buffer.name), ` [${buffer.shape.join(" × ")}]`);
    return {
        element: h("div", { class: "sheet-of-words" }, title, canvas),
        draw(rows, now) {
            const cell = Math.max(3, Math.min(14, Math.floor(360 / columns)));
            const ratio = window.devicePixelRatio || 1;
            canvas.width = columns * cell * ratio;
            canvas.height = lines * cell * ratio;
            canvas.style.width = `${columns * cell}px`;
            canvas.style.height = `${lines * cell}px`;
            const pen = canvas.getContext("2d");
            pen.scale(ratio, ratio);
            const place = (word) => {
                const plane = Math.floor(word / (across * down));
                const [row, column] = [Math.floor(word / across) % down, word % across];
                return [
                    ((plane % beside) * (across + 1) + column) * cell,
                    (Math.floor(plane / beside) * (down + 1) + row) * cell,
                ];
            };
            const inner = Math.max(cell - 1, 2);
            pen.fillStyle = colour("--cell");
            for (let word = 0; word < length; word++) {
                const [x, y] = place(word);
                pen.fillRect(x, y, inner, inner);
            }
            const mine = rows.filter((row) => row[BUFFER] === binding && row[WORD] < length);
            for (const row of mine) {
                const [x, y] = place(row[WORD]);
                pen.fillStyle = colour(row[KIND] === 0 ? "--accent" : "--ink");
                pen.fillRect(x, y, inner, inner);
                if (row[KIND] !== 0 && inner >= 5) {
                    // A hole: written words differ from read ones by more than their colour.
                    pen.fillStyle = colour("--card");
                    pen.fillRect(x + inner / 3, y + inner / 3, inner / 3, inner / 3);
                }
            }
            if (now?.[BUFFER] === binding) {
                const [x, y] = place(now[WORD]);
                pen.strokeStyle = colour("--bad");
                pen.lineWidth = 2;
                pen.strokeRect(x - 1, y - 1, inner + 2, inner + 2);
            }
            canvas.setAttribute("aria-label", `${buffer.name}: ${mine.length} of ${length} words touched`);
        },
    };
}

// The banks of workgroup memory, and which lanes of a warp want which word of each.
function banks() {
    const table = h("div", { class: "banks", role: "img" });
    const words = h("p", { class: "soft" });
    return {
        element: h("div", null, h("h4", null, "Banks of workgroup memory"), words, table),
        draw(rows, group, lane, now) {
            const warp = Math.floor(lane / WARP);
            const mine = rows.filter(
                (row) => row[GROUP] === group && row[BUFFER] < 0 && Math.floor(row[LANE] / WARP) === warp,
            );
            // The access of each lane at the same line, the same kind and the same turn.
            const turn = new Map();
            const meetings = new Map();
            let wanted = null;
            for (const row of mine) {
                const key = `${row[LINE]} ${row[KIND]}`;
                const count = turn.get(`${key} ${row[LANE]}`) ?? 0;
                turn.set(`${key} ${row[LANE]}`, count + 1);
                const meeting = `${key} ${count}`;
                if (!meetings.has(meeting)) meetings.set(meeting, []);
                meetings.get(meeting).push(row);
                if (row === now) wanted = meeting;
            }
            const passes = (list) => Math.max(0, ...split(list).map((words) => words.size));
            // Without a step, the meeting with the most passes.
            const worst = [...meetings].sort((a, b) => passes(b[1]) - passes(a[1]))[0];
            const meeting = wanted ? meetings.get(wanted) : worst?.[1];
            if (!meeting) {
                words.textContent = "This warp does not go there.";
                table.replaceChildren();
                return;
            }
            const columns = split(meeting);
            const most = passes(meeting);
            words.textContent =
                `Line ${meeting[0][LINE]}, lanes ${warp * WARP} to ${warp * WARP + WARP - 1}: ` +
                (most <= 1
                    ? "one pass, no two words of one bank."
                    : `${most} passes, since a bank hands out one word at a time.`);
            table.setAttribute("aria-label", words.textContent);
            table.replaceChildren(
                ...columns.map((bank, number) =>
                    h(
                        "div",
                        {
                            class: bank.size > 1 ? "clash" : bank.size ? "used" : null,
                            title: `bank ${number}: ${[...bank.keys()].join(", ") || "nobody"}`,
                        },
                        h("span", null, bank.size ? String(bank.size) : "·"),
                    ),
                ),
            );
        },
    };
}

// Of each bank its words, with the lanes that want them.
function split(meeting) {
    const columns = Array.from({ length: BANKS }, () => new Map());
    for (const row of meeting) {
        const words = columns[row[WORD] % BANKS];
        words.set(row[WORD], [...(words.get(row[WORD]) ?? []), row[LANE]]);
    }
    return columns;
}
