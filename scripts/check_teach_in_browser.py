#!/usr/bin/env python3
"""Drives the teaching page in a headless Chromium, as a visitor would.

Opens it, edits a kernel into an error and into a race and sees both named, leaves an endless loop behind,
solves two puzzles, runs one with the browser's own WebGPU (on SwiftShader: no GPU is needed), times three
convolutions, has the exported page train a recorded network and compares its losses with the native ones, and takes
pictures at 400, 1280 and 1920 pixels. Fails at a message on the console, at a request that leaves the server,
and at a page that is wider than its window. Needs Python and a Chromium or Chrome, nothing else.

    cargo build --release
    scripts/check_teach_in_browser.py target/release/autorep [--browser PROGRAM] [--pictures FOLDER] [--search]

Exit status: 0 all is well, 1 something is wrong, 3 there is no browser: that proves nothing, and is said.
"""

import argparse
import base64
import http.server
import json
import os
import pathlib
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

FLAGS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu-sandbox",
    "--enable-unsafe-webgpu",
    "--use-webgpu-adapter=swiftshader",
    "--remote-debugging-port=0",
    "--no-first-run",
    "--hide-scrollbars",
]
BROWSERS = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"]
WIDTHS = {400: 860, 1280: 900, 1920: 1080}


class Socket:
    """The client's side of a WebSocket (RFC 6455), as far as DevTools need it."""

    def __init__(self, address):
        host, path = address.removeprefix("ws://").split("/", 1)
        name, port = host.split(":")
        self.stream = socket.create_connection((name, int(port)), timeout=120)
        key = base64.b64encode(os.urandom(16)).decode()
        self.stream.sendall(
            f"GET /{path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode())
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += self.stream.recv(1)
        if b" 101 " not in head.split(b"\r\n")[0]:
            sys.exit(f"the browser does not talk: {head!r}")

    def send(self, text):
        data = text.encode()
        size = len(data)
        head = b"\x81"
        if size < 126:
            head += struct.pack("!B", 0x80 | size)
        elif size < 1 << 16:
            head += struct.pack("!BH", 0x80 | 126, size)
        else:
            head += struct.pack("!BQ", 0x80 | 127, size)
        mask = os.urandom(4)
        masked = bytes(byte ^ mask[i % 4] for i, byte in enumerate(data))
        self.stream.sendall(head + mask + masked)

    def take(self, size):
        data = b""
        while len(data) < size:
            piece = self.stream.recv(size - len(data))
            if not piece:
                raise ConnectionError("the browser has gone")
            data += piece
        return data

    def receive(self):
        message = b""
        while True:
            first, second = self.take(2)
            size = second & 127
            if size == 126:
                size = struct.unpack("!H", self.take(2))[0]
            elif size == 127:
                size = struct.unpack("!Q", self.take(8))[0]
            piece = self.take(size)
            if first & 15 in (0, 1):
                message += piece
                if first & 128:
                    return message.decode()


class Page:
    """A page of the browser: commands, and what it has said meanwhile."""

    def __init__(self, address):
        self.socket = Socket(address)
        self.number = 0
        self.said = []
        self.asked = set()
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method, **parameters):
        self.number += 1
        self.socket.send(json.dumps({"id": self.number, "method": method, "params": parameters}))
        while True:
            message = json.loads(self.socket.receive())
            if message.get("id") == self.number:
                if "error" in message:
                    sys.exit(f"{method}: {message['error']}")
                return message["result"]
            self.note(message)

    def note(self, message):
        method, parameters = message.get("method"), message.get("params", {})
        if method == "Runtime.exceptionThrown":
            details = parameters["exceptionDetails"]
            self.said.append(details.get("exception", {}).get("description", details["text"]))
        elif method == "Runtime.consoleAPICalled" and parameters["type"] in ("error", "warning"):
            self.said.append(" ".join(str(a.get("value", a.get("description"))) for a in parameters["args"]))
        elif method == "Log.entryAdded" and parameters["entry"]["level"] in ("error", "warning"):
            self.said.append(f"{parameters['entry']['text']} {parameters['entry'].get('url', '')}")
        elif method == "Network.requestWillBeSent":
            self.asked.add(parameters["request"]["url"])

    def run(self, script):
        result = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in result:
            sys.exit(f"{script}: {result['exceptionDetails']}")
        return result["result"].get("value")

    def wait(self, condition, what, seconds=90):
        end = time.time() + seconds
        while time.time() < end:
            if self.run(f"Boolean({condition})"):
                return
            time.sleep(0.1)
        sys.exit(f"FAILED: waited {seconds} s for {what}: {self.run('document.body.innerText')[:1500]}")

    def open(self, hash):
        shown = "document.querySelector('main h1')"
        if self.run("location.hash || '#/'") != hash:
            # The page before has a heading, too.
            self.run(f"{shown}?.setAttribute('data-old', '')")
            self.run(f"location.hash = {json.dumps(hash)}")
            shown = "document.querySelector('main h1:not([data-old])')"
        self.wait(shown, f"{hash} to be shown")
        time.sleep(0.3)

    def size(self, width, dark=False):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=WIDTHS[width],
                  deviceScaleFactor=1, mobile=width < 600)
        scheme = "dark" if dark else "light"
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        time.sleep(0.3)

    def write(self, text):
        self.run("(text => { const area = document.querySelector('.editor textarea'); area.focus(); area.value = text;"
                 f" area.dispatchEvent(new Event('input')); }})({json.dumps(text)})")

    def press_run(self):
        self.run("document.querySelector('.out').replaceChildren(); document.querySelector('button.primary').click()")
        self.wait("document.querySelector('.verdict h3')", "a verdict")
        return self.run("document.querySelector('.verdict').innerText")

    def picture(self, path, whole=False):
        data = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)["data"]
        path.write_bytes(base64.b64decode(data))


def check(condition, what):
    if not condition:
        sys.exit(f"FAILED: {what}")
    print(f"ok: {what}")


def visit(page, pictures, puzzles):
    text = (puzzles / "reduction.solution.wgsl").read_text()
    page.open("#/puzzles/reduction")
    page.write(text.replace("workgroupBarrier();", "workgroupBarier();", 1))
    verdict = page.press_run()
    check("The compiler stops here" in verdict and "workgroupBarier" in verdict, "a slip is named")
    check(page.run("document.querySelector('.numbers .mark').textContent").strip().startswith("✗"), "at its line")
    page.write(text.replace("workgroupBarrier();", "", 1))
    verdict = page.press_run()
    check("Race in workgroup memory" in verdict, "a race is named")
    page.size(1280)
    page.picture(pictures / "race-1280.png")
    page.write(text.replace("stride /= 2u", "stride += 0u", 1))
    verdict = page.press_run()
    check("Loop without end" in verdict, "an endless loop is named, and the page goes on")
    for name in ("relu", "reduction"):
        page.open(f"#/puzzles/{name}")
        page.write((puzzles / f"{name}.solution.wgsl").read_text())
        verdict = page.press_run()
        check(verdict.startswith("✓ Solved."), f"{name} is solved")
    button = "[...document.querySelectorAll('.verdict button')].find((b) => b.textContent === 'Run in this browser')"
    if page.run(f"Boolean(navigator.gpu && {button})"):
        page.run(f"{button}.click()")
        page.wait(f"/^[✓✗]/.test({button}.nextElementSibling.textContent)", "the browser's own answer")
        said = page.run(f"{button}.nextElementSibling.textContent")
        check(said.startswith("✓"), f"WebGPU in the browser: {said}")
    else:
        print("not proven: this browser has no WebGPU")
    page.run("document.querySelector('.verdict details').open = true")
    page.open("#/puzzles")
    check("2 of 12 solved" in page.run("document.body.innerText"), "progress is kept")


# Every kernel of the lab on the browser's own adapter: what is not as the twin computes it.
ON_WEBGPU = """(async () => {
  if (!navigator.gpu || !(await navigator.gpu.requestAdapter())) return null;
  const { run } = await import("./browser.js");
  const { catalog, kernel } = await import("./api.js");
  const off = [];
  let count = 0;
  for (const { name, runs } of await catalog()) {
    if (!runs) continue;
    count += 1;
    const page = await kernel(name);
    try {
      const { results } = await run(page.case, page.wgsl);
      if (results.some((result) => result.first)) off.push(`${name}: ${JSON.stringify(results)}`);
    } catch (error) { off.push(`${name}: ${error.message}`); }
  }
  return { count, off };
})()"""


def webgpu(page):
    found = page.run(ON_WEBGPU)
    if found is None:
        print("NOT PROVEN: this browser has no WebGPU")
        return
    check(found["count"] > 20 and not found["off"], f"{found['count']} kernels are right by WebGPU: {found['off']}")


def replay(page, pictures):
    """A recorded run, taken again by the browser: the same losses; with one weight moved, others."""
    page.open("#/replay")
    ready = "!document.querySelector('button.primary').disabled"
    if not page.run("Boolean(navigator.gpu)"):
        page.wait("document.querySelector('table')", "the record")
        print("NOT PROVEN: this browser has no WebGPU, so nothing was replayed")
        return
    page.wait(ready, "the record", 180)
    said = "document.querySelector('.said').textContent"
    for change, sign, what in [("", "✓", "the replayed losses are the native ones"),
                               ("moved", "✗", "with one weight moved they are not")]:
        page.run(f"document.querySelector('main select').value = {json.dumps(change)}")
        page.run("document.querySelector('button.primary').click()")
        page.wait(f"{ready} && /^[✓✗]/.test({said})", "the replay's end", 600)
        told = page.run(said)
        check(told.startswith(sign) and " differ" in told, f"{what}: {told}")
        for width in (400, 1280):
            page.size(width)
            page.picture(pictures / f"replay{change and '-' + change}-{width}.png", whole=True)
            wide = page.run("document.documentElement.scrollWidth")
            check(wide <= width, f"the replay fits into {width} pixels")


def convolutions(page):
    page.open("#/convolutions")
    page.run("document.querySelector('button.primary').click()")
    said = "document.querySelector('.said').textContent"
    page.wait(f"/^✗|times less/.test({said})", "three times", 180)
    check(page.run(said).startswith("On "), f"three convolutions are timed: {page.run(said)}")


def static(page, program, folder, puzzles, pictures):
    """The page as static files, from a server that knows nothing of it."""
    subprocess.run([program, "teach", "--export", folder], check=True, stdout=subprocess.DEVNULL)

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments):
            super().__init__(*arguments, directory=folder)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}/"
    page.call("Page.navigate", url=address)
    page.wait("document.querySelector('main h1')", "the static page")
    page.open("#/puzzles/relu")
    page.write((puzzles / "relu.solution.wgsl").read_text())
    verdict = page.press_run()
    if page.run("Boolean(navigator.gpu)"):
        check("Right in this browser" in verdict, "static files run a kernel by WebGPU")
    page.open("#/search")
    check("That needs the program" in page.run("document.body.innerText"), "and say what they cannot do")
    replay(page, pictures)
    return address


def search(page, pictures):
    page.open("#/search")
    page.run("document.querySelector('button.primary').click()")
    page.wait("/^Running.* step /.test(document.querySelector('.said').textContent)", "the first steps of a search", 180)
    page.run("[...document.querySelectorAll('button')].find((b) => b.textContent === 'Pause').click()")
    page.wait("/Paused/.test(document.querySelector('.said').textContent)", "a pause", 120)
    page.run("(range => { range.value = 20; range.dispatchEvent(new Event('input')); })"
             "(document.querySelector('input[type=range]'))")
    page.run("[...document.querySelectorAll('button')].find((b) => b.textContent === 'Go on with 20 %').click()")
    page.wait("document.querySelector('.site canvas')", "masks by position", 600)
    page.wait("document.querySelectorAll('.bend .thin').length", "a second checkpoint", 300)
    for width in (400, 1280):
        page.size(width)
        page.picture(pictures / f"masks-{width}.png", whole=True)
        check(page.run("document.documentElement.scrollWidth") <= width, f"masks fit into {width} pixels")
    page.wait("/Done/.test(document.querySelector('.said').textContent)", "the end of the search", 1200)
    check("test images right" in page.run("document.body.innerText"), "a search was watched to its end")
    kept = page.run("[...document.querySelectorAll('dd')].at(0).textContent")
    check(kept == "2,867 of 14,336", f"with the budget that it was given on the way: {kept}")


def pictures_of(page, folder, step):
    places = {
        "home": "#/",
        "puzzles": "#/puzzles",
        "puzzle": "#/puzzles/tiles",
        "lab": "#/lab/gate.forward",
        "convolutions": "#/convolutions",
        "search": "#/search",
    }
    if step:
        places["step"] = "#/step"
    for width in WIDTHS:
        page.size(width)
        for name, place in places.items():
            page.open(place)
            if name == "step" and width == min(WIDTHS):
                page.run("document.querySelector('button.primary').click()")
                page.wait("document.querySelector('.dispatch[title]')", "a measured step", 300)
            if name == "step":
                page.wait("document.querySelector('.dispatch[title]')", "the step")
                page.run("document.querySelector('.dispatch[title]').click()")
                time.sleep(0.5)
            wide = page.run("document.documentElement.scrollWidth")
            check(wide <= width, f"{name} fits into {width} pixels")
            page.picture(folder / f"{name}-{width}.png", whole=True)
    page.size(1280, dark=True)
    page.open("#/puzzles/tiles")
    page.picture(folder / "puzzle-dark.png")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("program", type=pathlib.Path)
    parser.add_argument("--browser", help="a Chromium or Chrome; without this the first that is installed")
    parser.add_argument("--pictures", type=pathlib.Path)
    parser.add_argument("--step", action="store_true", help="measure a step, too")
    parser.add_argument("--search", action="store_true", help="watch a search to its end, too: minutes")
    options = parser.parse_args()
    wanted = [options.browser] if options.browser else BROWSERS
    browser_path = next(filter(None, map(shutil.which, wanted)), None)
    if not browser_path:
        print(f"NOT PROVEN: there is no {' or '.join(wanted)} here; install one, or name one with --browser")
        sys.exit(3)
    puzzles = pathlib.Path(__file__).parent.parent / "assets/teach/puzzles"
    server = subprocess.Popen([options.program, "teach", "--port", "0"], stdout=subprocess.PIPE, text=True)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        pictures = options.pictures or pathlib.Path(profile)
        pictures.mkdir(parents=True, exist_ok=True)
        browser = None
        try:
            address = server.stdout.readline().strip()
            command = [browser_path, *FLAGS, f"--user-data-dir={profile}", "about:blank"]
            browser = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
            listening = next(line for line in browser.stderr if "DevTools listening on" in line)
            port = listening.split("ws://")[1].split("/")[0].split(":")[1]
            pages = json.load(urllib.request.urlopen(f"http://127.0.0.1:{port}/json"))
            page = Page(next(p for p in pages if p["type"] == "page")["webSocketDebuggerUrl"])
            page.size(1280)
            page.call("Page.navigate", url=address)
            page.wait("document.querySelector('main h1')", "the first page")
            visit(page, pictures, puzzles)
            webgpu(page)
            convolutions(page)
            if options.search:
                search(page, pictures)
            pictures_of(page, pictures, options.step)
            site = static(page, options.program, pathlib.Path(profile) / "site", puzzles, pictures)
            check(not page.said, f"no message on the console: {page.said}")
            inside = (address, site, "data:", "about:", "blob:")
            outside = [url for url in page.asked if not url.startswith(inside)]
            check(not outside, f"no request outside: {outside}")
        finally:
            for process in (browser, server):
                if process:
                    process.terminate()
                    process.wait()


if __name__ == "__main__":
    main()
