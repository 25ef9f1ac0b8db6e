// What was found about a kernel, from the compiler to the adapter.

import { bytes, colour, count, h, prose, short, time } from "./dom.js";
import { picture } from "./accesses.js";
import { panel } from "./browser.js";

const ok = (text) => h("span", { class: "good" }, "✓ ", text);
const no = (text) => h("span", { class: "bad" }, "✗ ", text);

const capital = (text) => text[0].toUpperCase() + text.slice(1);

// Lines that the editor marks.
export function marks(verdict) {
    const list = [];
    if (verdict.refused) list.push({ line: verdict.refused.line, text: verdict.refused.text, kind: "bad" });
    for (const found of verdict.emulated?.findings ?? [])
        list.push({ line: found.line, text: found.fault, kind: "bad" });
    return list;
}

export function headline(verdict, puzzle) {
    if (verdict.refused) return no("The compiler stops here.");
    if (verdict.ended && !verdict.emulated) return no(`The kernel was ${verdict.ended}.`);
    const { emulated } = verdict;
    if (verdict.alone) {
        const wrong = verdict.alone.find((result) => result.first);
        return wrong
            ? no(
                  `${wrong.name}[${wrong.first.index}] is ${short(wrong.first.got)}; ` +
                      `the twin says ${short(wrong.first.want)}.`,
              )
            : ok("Right in this browser. Races and limits are for the program to find: autorep teach.");
    }
    if (!emulated) return no(verdict.unmeasured ?? "Nothing was found.");
    if (emulated.findings.length) return no(`${capital(emulated.findings[0].fault)}, line ${emulated.findings[0].line}.`);
    if (emulated.results.some((result) => result.first)) return no("Not what the twin computes.");
    if (emulated.elsewhere) return no("Right for these numbers, wrong for others.");
    if (verdict.measured?.results.some((result) => result.first))
        return no("Right in the emulator, wrong on the adapter.");
    if (verdict.ended) return no(`Right in the emulator; then it was ${verdict.ended}.`);
    if (puzzle && !verdict.solved) return no("Right, but it takes more than it may.");
    return ok(puzzle ? "Solved." : "Right.");
}

// The panel below an editor.
export function report(verdict, given, { puzzle, source, go }) {
    const { refused, emulated, measured } = verdict;
    const right = () => Boolean(emulated && emulated.results.every((result) => !result.first));
    const place = (line) =>
        line ? h("button", { type: "button", class: "line", onclick: () => go(line) }, `line ${line}`) : null;
    return h(
        "section",
        { class: "verdict", "aria-label": "What was found" },
        h("h3", null, headline(verdict, puzzle)),
        refused && h("p", { class: "message" }, place(refused.line), " ", refused.text),
        verdict.ended && h("p", { class: "message" }, `The process was ended: ${verdict.ended}. The page goes on.`),
        emulated && [
            emulated.findings.length > 0 &&
                h(
                    "ul",
                    { class: "findings" },
                    emulated.findings.map((found) =>
                        h(
                            "li",
                            null,
                            place(found.line),
                            " ",
                            h("b", null, found.fault),
                            h("br"),
                            prose(detail(found)),
                        ),
                    ),
                ),
            emulated.results.map(compared),
            emulated.elsewhere &&
                h("p", { class: "message" }, `On numbers that are not shown ${emulated.elsewhere}.`),
            verdict.score.length > 0 && scores(verdict.score),
            costs(emulated.tally, measured),
            adapter(verdict),
            panel(given, source, emulated.unused, right),
            h(
                "details",
                null,
                h("summary", null, "Step through an invocation"),
                picture(
                    given,
                    emulated.accesses,
                    emulated.tally.complete ? "What this kernel touched." : "The first accesses of this kernel.",
                    go,
                ),
            ),
        ],
    );
}

// The sentence without its place and its fault, which stand before it.
const detail = ({ fault, text }) =>
    text
        .replace(/^\S+ /, "")
        .replace(fault, "")
        .replace(/^[,: ]+/, "");

function scores(list) {
    return h(
        "table",
        { class: "scores" },
        h(
            "thead",
            null,
            h(
                "tr",
                null,
                h("th", { scope: "col" }, "Limit"),
                h("th", { scope: "col" }, "taken"),
                h("th", { scope: "col" }, "most"),
                h("th", null),
            ),
        ),
        h(
            "tbody",
            null,
            list.map(({ what, taken, most, holds }) =>
                h(
                    "tr",
                    null,
                    h("th", { scope: "row" }, what),
                    h("td", null, short(taken)),
                    h("td", null, short(most)),
                    h("td", null, holds ? ok("") : no("")),
                ),
            ),
        ),
    );
}

function compared(result) {
    const { name, first, off, picture: errors, shape, worst } = result;
    if (!first)
        return h(
            "p",
            null,
            ok(`${name} is what the twin computes`),
            h("span", { class: "soft" }, ` (off by ${short(worst)} of the largest value)`),
        );
    return h(
        "div",
        { class: "compared" },
        h(
            "p",
            null,
            no(`${name}[${first.place.join(", ")}]`),
            " is the first of ",
            count(off),
            off === 1 ? " that is off: " : " that are off: ",
            h("b", null, first.unwritten ? "never written" : short(first.got)),
            ", the twin says ",
            h("b", null, short(first.want)),
            ".",
        ),
        errorPicture(errors, shape, name),
    );
}

// Every element of a result: empty where it is right, darker the further it is off, a cross where nothing was
// written.
function errorPicture(errors, shape, name) {
    let across = shape.at(-1) ?? errors.length;
    if (across < 16 && shape.length > 1) across *= shape.at(-2);
    across = Math.min(Math.max(across, 1), 64);
    const down = Math.ceil(errors.length / across);
    const cell = Math.max(4, Math.min(14, Math.floor(420 / across)));
    const wrong = errors.filter((error) => error).length;
    const canvas = h("canvas", {
        role: "img",
        "aria-label": `${wrong} of ${errors.length} elements of ${name} are off`,
    });
    requestAnimationFrame(() => {
        const ratio = window.devicePixelRatio || 1;
        canvas.width = across * cell * ratio;
        canvas.height = down * cell * ratio;
        canvas.style.width = `${across * cell}px`;
        canvas.style.height = `${down * cell}px`;
        const pen = canvas.getContext("2d");
        pen.scale(ratio, ratio);
        errors.forEach((error, i) => {
            const [x, y, side] = [(i % across) * cell, Math.floor(i / across) * cell, cell - 1];
            pen.globalAlpha = 1;
            pen.fillStyle = colour("--cell");
            pen.fillRect(x, y, side, side);
            if (error === 0) return;
            pen.fillStyle = pen.strokeStyle = colour("--bad");
            if (error < 10) {
                pen.globalAlpha = 0.25 + error / 12;
                pen.fillRect(x, y, side, side);
                return;
            }
            pen.beginPath();
            pen.moveTo(x + 1, y + 1);
            pen.lineTo(x + side - 1, y + side - 1);
            pen.moveTo(x + side - 1, y + 1);
            pen.lineTo(x + 1, y + side - 1);
            pen.stroke();
        });
    });
    return h(
        "figure",
        null,
        h("div", { class: "scroll", tabindex: "0" }, canvas),
        h(
            "figcaption",
            null,
            `${name} [${shape.join(" × ")}]: filled where it is off, darker the further; ` +
                "crossed where it was never written.",
        ),
    );
}

const segments = (n) => (n === 1 ? "1 segment" : `${short(n)} segments`);

function costs(tally, measured) {
    const each = (n) => short(n / tally.invocations);
    const rows = [
        ["loads an invocation", each(tally.loads), "from buffers, of any width"],
        ["stores an invocation", each(tally.stores), ""],
        ["busiest invocation", `${tally.busiest_reads} + ${tally.busiest_writes}`, "words read and written"],
        [
            "coalescing",
            tally.requests ? segments(tally.segments / tally.requests) : "–",
            "of 128 bytes for each time that 32 neighbours go to memory",
        ],
        [
            "bank conflicts",
            count(tally.bank_conflicts),
            tally.workgroup_requests
                ? `further passes in ${count(tally.workgroup_requests)} accesses of workgroup memory`
                : "no workgroup memory",
        ],
        ["divergence", count(tally.divergent), "branches in which 32 neighbours parted"],
        ["barriers", count(tally.barriers), "that workgroups went through"],
        ["work", `${count(tally.flops)} flops`, `${bytes(tally.bytes)} of memory, each counted once`],
    ];
    if (measured) {
        rows.push([
            "speed",
            `${short(tally.flops / measured.seconds / 1e9)} GFLOP/s`,
            `${short(tally.bytes / measured.seconds / 1e9)} GB/s on so little data, in ${time(measured.seconds)}`,
        ]);
    }
    return h(
        "dl",
        { class: "costs" },
        rows.map(([name, value, note]) =>
            h("div", null, h("dt", null, name), h("dd", null, value), h("dd", { class: "soft" }, note)),
        ),
    );
}

function adapter({ measured, unmeasured }) {
    if (!measured) return unmeasured ? h("p", { class: "soft" }, `No adapter ran it: ${unmeasured}`) : null;
    const wrong = measured.results.find((result) => result.first);
    const where = `${measured.adapter}${measured.software ? ", a program on the processor" : ""}`;
    return wrong
        ? h(
              "p",
              null,
              no(
                  `On ${where}, ${wrong.name}[${wrong.first.place.join(", ")}] is ${short(wrong.first.got)}, ` +
                      `not ${short(wrong.first.want)}.`,
              ),
          )
        : h("p", null, ok(`The adapter agrees: ${where}.`));
}
