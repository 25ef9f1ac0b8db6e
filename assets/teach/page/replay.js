// A recorded training run, replayed by WebGPU: this browser trains the network with the program's kernels. A module
// of its own: it needs a record (see src/record.rs) and a GPUDevice, nothing else.

// A record: the length of its header, the header as JSON, and words of buffers.
export function read(file) {
    const length = new DataView(file).getUint32(0, true);
    const header = JSON.parse(new TextDecoder().decode(new Uint8Array(file, 4, length)));
    return { ...header, words: new Uint32Array(file, 4 + length) };
}

// Memory, pipelines and bindings of a step, as they were before the first one. `change` may alter the words of a
// buffer, by its number, before they are written.
async function prepare(gpu, record, change) {
    const buffers = record.buffers.map(({ bytes, at }, number) => {
        const kind = number === record.scalars ? GPUBufferUsage.UNIFORM : GPUBufferUsage.STORAGE;
        const usage = kind | GPUBufferUsage.COPY_DST | GPUBufferUsage.COPY_SRC;
        const buffer = gpu.createBuffer({ size: bytes, usage, mappedAtCreation: at !== null });
        // What is not written is zero.
        if (at !== null) {
            const words = new Uint32Array(buffer.getMappedRange());
            words.set(record.words.subarray(at, at + bytes / 4));
            change?.(number, words);
            buffer.unmap();
        }
        return buffer;
    });
    const pipelines = await Promise.all(
        record.shaders.map(({ name, entry, source }) =>
            gpu.createComputePipelineAsync({
                label: name,
                layout: "auto",
                compute: { module: gpu.createShaderModule({ label: name, code: source }), entryPoint: entry },
            }),
        ),
    );
    const tape = record.tape.map(({ shader, grid, bindings }) => ({
        pipeline: pipelines[shader],
        grid,
        group: gpu.createBindGroup({
            layout: pipelines[shader].getBindGroupLayout(0),
            entries: bindings.map(([buffer, offset, size], binding) => ({
                binding,
                resource: { buffer: buffers[buffer], offset, size },
            })),
        }),
    }));
    return { buffers, tape };
}

// Takes the steps of a record. Each is told to `onStep` as { loss, right } while the next one is on its way to the
// device; returns all of them. `signal` ends it early.
export async function replay(gpu, record, { change, onStep, signal } = {}) {
    gpu.pushErrorScope("validation");
    const { buffers, tape } = await prepare(gpu, record, change);
    const { buffer, rows, words } = record.ring;
    const row = gpu.createBuffer({ size: 4 * words, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
    const taken = [];
    try {
        for (const [step, scalars] of record.steps.entries()) {
            if (signal?.aborted) break;
            gpu.queue.writeBuffer(buffers[record.scalars], 0, new Uint32Array(scalars));
            const encoder = gpu.createCommandEncoder();
            const pass = encoder.beginComputePass();
            for (const { pipeline, group, grid } of tape) {
                pass.setPipeline(pipeline);
                pass.setBindGroup(0, group);
                pass.dispatchWorkgroups(...grid);
            }
            pass.end();
            encoder.copyBufferToBuffer(buffers[buffer], 4 * words * (step % rows), row, 0, 4 * words);
            gpu.queue.submit([encoder.finish()]);
            await row.mapAsync(GPUMapMode.READ);
            const range = row.getMappedRange();
            const [sums, counts] = [new Float32Array(range), new Uint32Array(range)];
            taken.push({ loss: sums[0] / counts[4], right: sums[2] / counts[4] });
            row.unmap();
            onStep?.(taken);
        }
    } finally {
        const error = await gpu.popErrorScope();
        for (const held of [...buffers, row]) held.destroy();
        if (error) throw new Error(error.message);
    }
    return taken;
}

// How far losses are from the native ones, as shares of those; how far rounding may take them; and the first step that
// is further, none where it is the same run. Steps that were not taken, and losses that are no numbers, are far.
export function compared(record, taken) {
    const shares = record.native.map(({ loss }, step) => Math.abs((taken[step]?.loss ?? NaN) - loss) / loss);
    const { first, growth } = record.tolerance;
    const allowed = shares.map((_, step) => first * growth ** step);
    const off = shares.findIndex((share, step) => !(share <= allowed[step]));
    return { shares, allowed, most: Math.max(...shares), off: off < 0 ? null : off };
}

// A weight of the first convolution, moved: what no rounding explains.
export const moved = (record) => (number, words) => {
    if (number === record.weights) new Float32Array(words.buffer, words.byteOffset)[0] += 0.5;
};
