// The first page: what there is to do.

import { puzzles } from "./api.js";
import { h } from "./dom.js";
import { solved } from "./store.js";

export async function home() {
    const list = await puzzles();
    const done = list.filter((puzzle) => solved(puzzle.name)).length;
    const next = list.find((puzzle) => !solved(puzzle.name));
    const door = (href, title, text, more) =>
        h(
            "a",
            { class: "door", href },
            h("h2", null, title),
            h("p", null, text),
            h("p", { class: "more" }, more, " →"),
        );
    return h(
        "section",
        { class: "home" },
        h("h1", null, "A network, with its shaders open"),
        h(
            "p",
            { class: "lead" },
            "In private inference a ReLU is the one dear operation. autorep searches a network for the few that are ",
            "worth keeping, on compute shaders written by hand. Here each of them can be read, changed and run: on ",
            "your GPU, or on a machine of glass that ",
            "shows races, stray reads and traffic, which a GPU hides.",
        ),
        h(
            "div",
            { class: "doors" },
            door(
                "#/puzzles",
                "Puzzles",
                "Twelve exercises, from ReLU to a tiled convolution. Each is a kernel with its heart taken out.",
                done ? `${done} of ${list.length} solved` : "Begin with ReLU",
            ),
            door(
                "#/lab",
                "Lab",
                "Every kernel beside its card, its template and its twin in Rust. Change a line and see what breaks.",
                "Open a kernel",
            ),
            door(
                "#/convolutions",
                "A convolution, three times",
                "Direct, with tiles in workgroup memory, with tiles in registers: what each fetches, and its time.",
                "Compare them",
            ),
            door(
                "#/step",
                "Step",
                "A step of the search, dispatch by dispatch: which kernel runs for which layer, and how long it takes.",
                "Measure a step",
            ),
            door(
                "#/search",
                "Search",
                "A network on built-in images: its loss falls, its masks empty, and its price falls with them.",
                "Start a search",
            ),
            door(
                "#/replay",
                "Replay",
                "A training run with its tape: this browser takes the same steps by WebGPU, and its losses must agree.",
                "Train in this browser",
            ),
        ),
        next && done > 0 && h("p", null, "Next: ", h("a", { href: `#/puzzles/${next.name}` }, next.title), "."),
    );
}
