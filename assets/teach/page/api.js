import { alone } from "./browser.js";

// What the server is asked. Addresses are relative: they keep the code that admits this page.

async function answer(response) {
    if (!response.ok) throw new Error(await response.text());
    return response.json();
}

const kept = new Map();

// What does not change is asked for once.
export function constant(path) {
    if (!kept.has(path)) {
        const asked = fetch(path).then(answer);
        asked.catch(() => kept.delete(path));
        kept.set(path, asked);
    }
    return kept.get(path);
}

export const get = (path) => fetch(path).then(answer);

export const post = (path, body) =>
    fetch(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) }).then(
        answer,
    );

export const puzzles = () => constant("api/puzzles");
export const catalog = () => constant("api/catalog");
export const kernel = (name) => constant(`api/kernel/${encodeURIComponent(name)}`);

// Whether a server runs kernels, or these are static files.
export const served = () => constant("api/mode").then((mode) => mode.runs);

// What is found about a text: by the server, or, where there is none, by this browser alone.
export async function run(kind, name, source, given) {
    return (await served()) ? post("api/run", { kind, name, source }) : alone(given, source);
}
