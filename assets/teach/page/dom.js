// Elements by function: h("p", { class: "soft" }, "text", child). No HTML is ever made of text.

const SVG = "http://www.w3.org/2000/svg";

function fill(element, attributes, children) {
    for (const [name, value] of Object.entries(attributes ?? {})) {
        if (value === undefined || value === null || value === false) continue;
        if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
        else if (name in element && typeof value !== "string") element[name] = value;
        else element.setAttribute(name, value === true ? "" : value);
    }
    element.append(
        ...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false),
    );
    return element;
}

export const h = (name, attributes, ...children) => fill(document.createElement(name), attributes, children);
export const svg = (name, attributes, ...children) => {
    const element = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes ?? {})) element.setAttribute(key, value);
    element.append(...children.flat(Infinity));
    return element;
};

// Text with `code` in backticks.
export const prose = (text) =>
    text
        .trim()
        .split(/`([^`]+)`/)
        .map((part, i) => (i % 2 ? h("code", null, part) : part));

export const count = (n) => Math.round(n).toLocaleString("en");

// A number with about three digits.
export function short(value) {
    if (value === null || value === undefined || Number.isNaN(value)) return "not a number";
    if (value === 0) return "0";
    const size = Math.abs(value);
    if (size >= 1e5 || size < 1e-3) return value.toExponential(2);
    return String(Number(value.toPrecision(4)));
}

export function time(seconds) {
    for (const [unit, factor] of [
        ["s", 1],
        ["ms", 1e3],
        ["µs", 1e6],
    ]) {
        if (seconds * factor >= 1 || unit === "µs") return `${Number((seconds * factor).toPrecision(3))} ${unit}`;
    }
    return "";
}

export function bytes(n) {
    const units = ["B", "kB", "MB", "GB"];
    let i = 0;
    for (; n >= 1000 && i < units.length - 1; i++) n /= 1000;
    return `${Number(n.toPrecision(3))} ${units[i]}`;
}

// Tells those who hear the page what has changed.
export const tell = (text) => {
    document.getElementById("live").textContent = text;
};

// What the style sheet says of a colour, for canvases.
export const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

// Tabs: a list of [name, element]. Arrow keys go from one to the next.
export function tabs(label, pages, { start = 0 } = {}) {
    const id = `tabs-${Math.random().toString(36).slice(2, 8)}`;
    const buttons = pages.map(([name], i) =>
        h(
            "button",
            {
                type: "button",
                role: "tab",
                id: `${id}-${i}`,
                "aria-controls": `${id}-page-${i}`,
                onclick: () => show(i),
                onkeydown: (event) => {
                    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
                    if (step) {
                        show((i + step + pages.length) % pages.length);
                        event.preventDefault();
                    }
                },
            },
            name,
        ),
    );
    const panels = pages.map(([, element], i) =>
        h("div", { role: "tabpanel", id: `${id}-page-${i}`, "aria-labelledby": `${id}-${i}` }, element),
    );
    function show(at, quiet) {
        buttons.forEach((button, i) => {
            button.setAttribute("aria-selected", i === at ? "true" : "false");
            button.tabIndex = i === at ? 0 : -1;
            panels[i].hidden = i !== at;
        });
        if (!quiet) buttons[at].focus();
    }
    show(start, true);
    return h("div", { class: "tabs" }, h("div", { role: "tablist", "aria-label": label }, buttons), panels);
}

// What static files cannot show.
export const elsewhere = () =>
    h(
        "section",
        null,
        h("h1", null, "That needs the program"),
        h(
            "p",
            null,
            "These are static files. ",
            h("code", null, "autorep teach"),
            " measures steps and runs searches on your machine.",
        ),
    );
