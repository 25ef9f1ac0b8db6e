#!/usr/bin/env python3
"""Compiles WGSL files with a browser's WebGPU: a second compiler's opinion.

Chromium's compiler, Tint, is stricter than naga in places (uniform control flow around
barriers and subgroup operations, constant expressions out of range), and what it refuses
does not run in a browser. Needs a Chromium or Chrome, no GPU.

    cargo run --release -- shaders --write /tmp/wgsl
    scripts/check_shaders_in_browser.py /tmp/wgsl [--browser chromium]

Prints each file that does not compile with the compiler's words; fails if there is one.
"""

import argparse
import http.server
import json
import pathlib
import queue
import re
import subprocess
import sys
import tempfile
import threading

PAGE = """<!doctype html><meta charset="utf-8"><script>
const post = (path, value) => fetch(path, { method: "POST", body: JSON.stringify(value) });
(async () => {
  try {
    const shaders = await (await fetch("/shaders")).json();
    const adapter = await navigator.gpu.requestAdapter();
    const device = await adapter.requestDevice({
      requiredFeatures: adapter.features.has("subgroups") ? ["subgroups"] : [],
    });
    for (const { name, entryPoint, code, pipeline } of shaders) {
      device.pushErrorScope("validation");
      const module = device.createShaderModule({ code });
      const said = (await module.getCompilationInfo()).messages;
      const faults = said.filter((m) => m.type !== "info")
        .map((m) => `${m.type} in line ${m.lineNum}: ${m.message}`);
      // Sizes and limits are only known with the pipeline.
      if (pipeline && faults.length === 0) {
        await device.createComputePipelineAsync({
          layout: "auto", compute: { module, entryPoint },
        }).catch((error) => faults.push(error.message));
      }
      const error = await device.popErrorScope();
      if (error && faults.length === 0) faults.push(error.message);
      await post("/shader", { name, faults });
    }
    await post("/end", {});
  } catch (error) { await post("/end", { error: String(error) }); }
})();
</script>"""

FLAGS = [
    "--headless=new",
    "--no-sandbox",
    "--enable-unsafe-webgpu",
    "--use-webgpu-adapter=swiftshader",
]


def shader(path, pipeline):
    """What the page wants to know about a file, the text as browsers want it."""
    text = path.read_text()
    if re.search(r"\bsubgroup\w+\(", text):
        text = "enable subgroups;\n" + text  # naga needs no such line, and refuses it.
    entry = re.search(r"@compute[^{]*?\bfn\s+(\w+)", text)
    return {
        "name": path.name,
        "entryPoint": entry.group(1) if entry else "main",
        "code": text,
        "pipeline": pipeline,
    }


def serve(shaders, answers):
    """A server on a free local port that hands out the page and queues what it posts."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def reply(self, kind, body):
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_GET(self):
            if self.path == "/shaders":
                self.reply("application/json", json.dumps(shaders).encode())
            else:
                self.reply("text/html", PAGE.encode())

        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            answers.put((self.path, json.loads(body)))
            self.reply("text/plain", b"")

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("localhost", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://localhost:{server.server_port}/"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--browser", default="chromium")
    parser.add_argument("--pipelines", action="store_true",
                        help="make pipelines, too: runs the driver's compiler, slowly")
    options = parser.parse_args()
    paths = sorted(options.folder.glob("*.wgsl"))
    if not paths:
        sys.exit(f"no .wgsl file in {options.folder}")
    answers = queue.Queue()
    url = serve([shader(path, options.pipelines) for path in paths], answers)

    compiled, faulty = 0, 0
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = [options.browser, *FLAGS, f"--user-data-dir={profile}", url]
        browser = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            while True:
                path, answer = answers.get(timeout=120)
                if path == "/end":
                    break
                compiled += 1
                faulty += bool(answer["faults"])
                for fault in answer["faults"]:
                    print(f"{answer['name']}: {fault}")
        except queue.Empty:
            answer = {"error": "the browser fell silent"}
        finally:
            browser.terminate()
            browser.wait()
    print(f"{compiled} of {len(paths)} shaders compiled, {faulty} with faults")
    if "error" in answer:
        sys.exit(answer["error"])
    sys.exit(faulty > 0)


if __name__ == "__main__":
    main()
