// One step of the search, dispatch by dispatch, as measured on this machine.

import { catalog, get, kernel, post, served } from "./api.js";
import { bytes, count, h, short, tell, time, elsewhere } from "./dom.js";

const PASSES = {
    images: "Images are gathered, shifted and mirrored",
    teacher: "The teacher looks at them",
    forward: "The network looks at them, through masks and polynomials",
    loss: "Both are compared with the labels and with each other",
    backward: "Gradients go back, from the last layer to the first",
    update: "Weights, scores and masks move",
};

export async function stepPage(_, signal) {
    if (!(await served())) return elsewhere();
    const box = h("div", { class: "step", "aria-busy": "false" });
    const known = new Map((await catalog()).map((entry) => [entry.name, entry]));
    const choice = h(
        "select",
        { "aria-label": "Phase" },
        h("option", { value: "search" }, "a search step"),
        h("option", { value: "teacher" }, "a training step"),
    );
    const button = h(
        "button",
        {
            type: "button",
            class: "primary",
            onclick: async () => {
                button.disabled = true;
                try {
                    await post("api/step", { phase: choice.value });
                } catch (error) {
                    fail(box, error.message);
                }
                watch();
            },
        },
        "Measure",
    );
    const fail = (where, why) => where.replaceChildren(h("p", { class: "bad" }, `✗ ${why}`));
    async function watch() {
        if (signal.aborted) return;
        let standing;
        try {
            standing = await get("api/step");
        } catch (error) {
            fail(box, error.message);
            return;
        }
        button.disabled = standing.state === "measuring";
        box.setAttribute("aria-busy", String(button.disabled));
        if (standing.state === "measuring") {
            box.replaceChildren(
                h(
                    "p",
                    { class: "soft" },
                    "Compiling a step and timing every dispatch. That takes from seconds to a minute…",
                ),
            );
            setTimeout(watch, 1000);
        } else if (standing.state === "failed") fail(box, standing.result);
        else if (standing.state === "done") {
            box.replaceChildren(chart(standing.result, known));
            tell("The step is measured.");
        } else box.replaceChildren(h("p", { class: "soft" }, "Nothing is measured yet."));
    }
    watch();
    return h(
        "section",
        null,
        h("h1", null, "A step"),
        h(
            "p",
            { class: "lead" },
            "What is done again and again: a ResNet-8 takes 32 images. Each block is a dispatch, as wide as its share ",
            "of the time. ",
            "Open one to see its kernel and how far it is from what the adapter can do.",
        ),
        h("div", { class: "row" }, choice, button),
        box,
    );
}

function chart(profile, known) {
    const total = profile.kernel_seconds || 1;
    const detail = h(
        "aside",
        { class: "detail", "aria-live": "polite" },
        h("p", { class: "soft" }, "Choose a dispatch."),
    );
    const passes = Object.keys(PASSES)
        .map((pass) => ({ pass, list: profile.dispatches.filter((d) => d.pass === pass) }))
        .filter(({ list }) => list.length);
    let chosen;
    const block = (dispatch) => {
        const seconds = dispatch.time.median;
        const reach = dispatch.floor_seconds / seconds;
        const button = h(
            "button",
            {
                type: "button",
                class: `dispatch ${reach > 0.5 ? "near" : reach > 0.2 ? "middle" : "far"}`,
                title: `${dispatch.kernel}.${dispatch.entry} for ${dispatch.layer}: ${time(seconds)}`,
                onclick: () => {
                    chosen?.removeAttribute("aria-pressed");
                    chosen = button;
                    button.setAttribute("aria-pressed", "true");
                    tellOf(dispatch, detail, total, known);
                },
            },
            seconds / total > 0.05 ? h("span", null, dispatch.layer) : null,
        );
        // As wide as its share: blocks go on in the next line where one is full.
        button.style.setProperty("--share", String(seconds / total));
        return button;
    };
    return h(
        "div",
        null,
        h(
            "p",
            null,
            h("b", null, profile.adapter),
            `: ${time(profile.step.median)} a step, ${count(profile.images_per_second)} images a second. `,
            h(
                "span",
                { class: "soft" },
                `Its roofs: ${short(profile.roofline.flops_per_second / 1e9)} GFLOP/s, ` +
                    `${short(profile.roofline.bytes_per_second / 1e9)} GB/s.`,
            ),
        ),
        h(
            "p",
            { class: "keys" },
            [
                ["near", "more than half of what the adapter can do"],
                ["middle", "more than a fifth"],
                ["far", "less"],
            ].map(([kind, text]) => h("span", { class: "key" }, h("i", { class: `dispatch ${kind}` }), ` ${text}`)),
        ),
        h(
            "div",
            { class: "passes" },
            passes.map(({ pass, list }) => {
                const seconds = list.reduce((sum, d) => sum + d.time.median, 0);
                const bar = h("div", { class: "blocks" }, list.map(block));
                return h(
                    "div",
                    { class: "pass" },
                    h(
                        "h2",
                        null,
                        pass,
                        h("span", { class: "soft" }, ` ${time(seconds)}, ${Math.round((100 * seconds) / total)} %`),
                    ),
                    h("p", { class: "soft" }, PASSES[pass]),
                    bar,
                );
            }),
        ),
        detail,
    );
}

async function tellOf(dispatch, detail, total, known) {
    const name = `${dispatch.kernel}.${dispatch.entry}`;
    const seconds = dispatch.time.median;
    const facts = [
        ["layer", dispatch.layer],
        ["time", `${time(seconds)}, ${short((100 * seconds) / total)} % of all`],
        ["flops", `${count(dispatch.flops)}, ${short(dispatch.flops / seconds / 1e9)} GFLOP/s`],
        ["bytes", `${bytes(dispatch.bytes)}, ${short(dispatch.bytes / seconds / 1e9)} GB/s`],
        ["roofline", `${Math.round((100 * dispatch.floor_seconds) / seconds)} % of what the adapter can do`],
    ];
    detail.replaceChildren(
        h("h2", null, name),
        h(
            "dl",
            { class: "facts" },
            facts.map(([key, value]) => h("div", null, h("dt", null, key), h("dd", null, value))),
        ),
        known.has(name) ? h("p", null, h("a", { href: `#/lab/${name}` }, "Card, WGSL, template and twin →")) : null,
    );
    detail.scrollIntoView({ block: "nearest" });
    if (!known.has(name)) return;
    const page = await kernel(name);
    const computes = page.card
        .split("\n")
        .filter((line) => line.trim())
        .slice(0, 12)
        .join("\n");
    detail.append(h("pre", { class: "listing card" }, computes));
}
