// Progress stays in this browser. Where it keeps nothing, as in some private windows, the page works all the same.

const KEY = "autorep-teach:";
const memory = new Map();

export function recall(name) {
    try {
        return localStorage.getItem(KEY + name) ?? memory.get(name) ?? null;
    } catch {
        return memory.get(name) ?? null;
    }
}

export function keep(name, value) {
    memory.set(name, value);
    try {
        localStorage.setItem(KEY + name, value);
    } catch {
        /* kept until the page is closed */
    }
}

export function forget(name) {
    memory.delete(name);
    try {
        localStorage.removeItem(KEY + name);
    } catch {
        /* nothing was kept */
    }
}

export const solved = (puzzle) => recall(`solved:${puzzle}`) === "yes";
