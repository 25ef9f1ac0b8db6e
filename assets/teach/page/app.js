// The page: an address behind # names what is shown.

import { h } from "./dom.js";
import { convolutionsPage } from "./convolutions.js";
import { home } from "./home.js";
import { puzzleList, puzzlePage } from "./puzzles.js";
import { labPage } from "./lab.js";
import { stepPage } from "./step.js";
import { searchPage } from "./search.js";
import { trainedPage } from "./trained.js";

const ROUTES = [
    [/^\/?$/, home, "A network with its shaders open"],
    [/^\/puzzles$/, puzzleList, "Puzzles"],
    [/^\/puzzles\/([\w-]+)$/, puzzlePage, "Puzzle"],
    [/^\/lab(?:\/([\w.-]+))?$/, labPage, "Lab"],
    [/^\/convolutions$/, convolutionsPage, "A convolution, three times"],
    [/^\/step$/, stepPage, "Step"],
    [/^\/search$/, searchPage, "Search"],
    [/^\/replay$/, trainedPage, "Replay"],
];

const main = document.getElementById("main");
// What a page leaves running is told to stop when another is shown.
let leave = new AbortController();

async function show() {
    leave.abort();
    leave = new AbortController();
    const { signal } = leave;
    const path = decodeURIComponent(location.hash.slice(1));
    const [pattern, page, title] = ROUTES.find(([pattern]) => pattern.test(path)) ?? ROUTES[0];
    for (const link of document.querySelectorAll(".top nav a")) {
        const here = path.startsWith(link.hash.slice(1));
        if (here) link.setAttribute("aria-current", "page");
        else link.removeAttribute("aria-current");
    }
    let content;
    try {
        content = await page(path.match(pattern)?.[1], signal);
    } catch (error) {
        content = h(
            "section",
            null,
            h("h1", null, "That did not work"),
            h("p", { class: "bad" }, `✗ ${error.message}`),
        );
    }
    if (signal.aborted) return;
    document.title = `${content.dataset?.title ?? title} · autorep teach`;
    main.replaceChildren(content);
    window.scrollTo(0, 0);
}

window.addEventListener("hashchange", () => {
    show().then(() => main.focus({ preventScroll: true }));
});
show();
