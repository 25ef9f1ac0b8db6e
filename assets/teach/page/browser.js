// A case on the browser's own GPU, with WebGPU, held to the same numbers.

import { h, short, time } from "./dom.js";

export const available = () => "gpu" in navigator;

const UNWRITTEN = 0x7fc0dead;

function words(contents) {
    switch (contents.kind) {
        case "floats":
            return new Uint32Array(new Float32Array(contents.values).buffer);
        case "unwritten":
            return new Uint32Array(contents.values).fill(UNWRITTEN);
        default:
            return new Uint32Array(contents.values);
    }
}

let device;

// The browser's device, which all that runs here shares.
export async function open() {
    if (device) return device;
    const adapter = await navigator.gpu.requestAdapter();
    if (!adapter) throw new Error("this browser offers no adapter");
    const features = ["subgroups"].filter((name) => adapter.features.has(name));
    device = await adapter.requestDevice({ requiredFeatures: features });
    device.lost.then(() => {
        device = undefined;
    });
    return device;
}

// Runs a case with `source` in the place of the text that may be changed. Returns what each wanted buffer
// holds against the twin, and the seconds.
export async function run(given, source, unused = []) {
    const gpu = await open();
    gpu.pushErrorScope("validation");
    const buffers = given.buffers.map(({ contents }) => {
        const data = words(contents);
        const uniform = contents.kind === "uniform";
        const buffer = gpu.createBuffer({
            size: data.byteLength,
            usage:
                GPUBufferUsage.COPY_DST |
                (uniform ? GPUBufferUsage.UNIFORM : GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC),
        });
        gpu.queue.writeBuffer(buffer, 0, data);
        return buffer;
    });
    const encoder = gpu.createCommandEncoder();
    for (const [number, stage] of given.stages.entries()) {
        let code = number === given.edited ? source : stage.source;
        if (/\bsubgroup\w+\(/.test(code)) code = "enable subgroups;\n" + code;
        const module = gpu.createShaderModule({ code });
        const said = (await module.getCompilationInfo()).messages.find((message) => message.type === "error");
        if (said) {
            await gpu.popErrorScope();
            throw new Error(`line ${said.lineNum}: ${said.message}`);
        }
        const pipeline = await gpu.createComputePipelineAsync({
            layout: "auto",
            compute: { module, entryPoint: stage.entry },
        });
        const bound = stage.bindings.map((buffer, binding) => ({ binding, resource: { buffer: buffers[buffer] } }));
        // A layout that is made of the text has no place for what the text does not use.
        const left = number === given.edited ? unused : [];
        const entries = bound.filter(({ binding }) => !left.includes(binding));
        const pass = encoder.beginComputePass();
        pass.setPipeline(pipeline);
        pass.setBindGroup(0, gpu.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries }));
        pass.dispatchWorkgroups(...stage.grid);
        pass.end();
    }
    const wanted = given.buffers.map((buffer, i) => ({ ...buffer, i })).filter((buffer) => buffer.expected);
    for (const buffer of wanted) {
        const size = buffers[buffer.i].size;
        buffer.copy = gpu.createBuffer({ size, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
        encoder.copyBufferToBuffer(buffers[buffer.i], 0, buffer.copy, 0, size);
    }
    const begun = performance.now();
    gpu.queue.submit([encoder.finish()]);
    const error = await gpu.popErrorScope();
    if (error) throw new Error(error.message);
    const results = [];
    for (const buffer of wanted) {
        await buffer.copy.mapAsync(GPUMapMode.READ);
        const numbers = buffer.contents.kind === "words" ? Uint32Array : Float32Array;
        const got = new numbers(buffer.copy.getMappedRange().slice(0));
        results.push(compared(buffer, got, given.tolerance));
        buffer.copy.destroy();
    }
    buffers.forEach((buffer) => buffer.destroy());
    return { results, seconds: (performance.now() - begun) / 1000 };
}

function compared({ name, expected }, got, tolerance) {
    const scale = expected.reduce((most, want) => Math.max(most, Math.abs(want)), 1e-6);
    const off = expected.findIndex((want, i) => !(Math.abs(got[i] - want) / scale <= tolerance));
    return { name, first: off < 0 ? null : { index: off, got: got[off], want: expected[off] } };
}

// A verdict without a server: what the compiler of this browser says, and the numbers against the twin's.
export async function alone(given, source) {
    const verdict = {
        refused: null,
        emulated: null,
        measured: null,
        unmeasured: null,
        score: [],
        solved: false,
        ended: null,
    };
    if (!available())
        return { ...verdict, unmeasured: "This browser has no WebGPU, and there is no server that runs kernels." };
    try {
        const { results } = await run(given, source);
        return { ...verdict, alone: results };
    } catch (error) {
        const [, line, text] = error.message.match(/^line (\d+): ([^]*)/) ?? [null, 0, error.message];
        return { ...verdict, refused: { line: Number(line), column: 0, length: 0, text } };
    }
}

// A button that runs the case here, and what came of it. `agree` says whether the server's answer was right.
export function panel(given, source, unused, agree) {
    if (!available())
        return h("p", { class: "soft" }, "This browser has no WebGPU, so only the server ran the kernel.");
    const out = h("p", { class: "soft", role: "status" }, "The same kernel can run on this device's own GPU.");
    const button = h(
        "button",
        {
            type: "button",
            onclick: async () => {
                button.disabled = true;
                out.textContent = "Running…";
                try {
                    const { results, seconds } = await run(given, source(), unused);
                    const wrong = results.find((result) => result.first);
                    const right = !wrong;
                    out.className = right ? "good" : "bad";
                    out.textContent = right
                        ? `✓ Right in this browser, too (${time(seconds)} with reading back).`
                        : `✗ ${wrong.name}[${wrong.first.index}] is ${short(wrong.first.got)} here; ` +
                          `the twin says ${short(wrong.first.want)}.`;
                    if (right !== agree())
                        out.textContent += " The server came to another answer: that is what a race looks like.";
                } catch (error) {
                    out.className = "bad";
                    out.textContent = `✗ ${error.message}`;
                }
                button.disabled = false;
            },
        },
        "Run in this browser",
    );
    return h("div", { class: "row" }, button, out);
}
