// Writes a model of a real shape with random weights, for measuring speed and memory: neither depends on the values.
//   node tests/bench/make_model.mjs --shape 135m --type Q8_0 [--out build/bench/135m-q8_0.gguf] [--seed 1]
//
// Any quantised type that the engine knows; rows that are no whole blocks of it are Q8_0.
//
// The weights are scaled like those of a fresh network, so that activations stay finite and logits differ. The vocabulary is a
// complete byte-level BPE in which " xyz" (a space and three lowercase letters) is exactly one token: prompts of an
// exact length are easy to write.
import { closeSync, mkdirSync, openSync, renameSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { parseArgs } from 'node:util';
import { blockTypes } from './model/blocks.mjs';
import { encodeHeader } from './model/gguf.mjs';
import { Random } from './model/random.mjs';
import { metadataOf, shapes, tensorsOf } from './model/shapes.mjs';

/** @returns {Float32Array} the wavelength factors of Llama 3.x's long context, one per pair of a head */
function ropeFactors({ headDim, ropeTheta, ropeFactor }) {
  const [low, high, trained] = [1, 4, 8192]; // the published constants of the Llama 3.1 family
  return Float32Array.from({ length: headDim / 2 }, (_, i) => {
    const wavelength = 2 * Math.PI * ropeTheta ** ((2 * i) / headDim);
    if (wavelength < trained / high) return 1;
    if (wavelength > trained / low) return ropeFactor;
    const smooth = (trained / wavelength - low) / (high - low);
    return 1 / ((1 - smooth) / ropeFactor + smooth);
  });
}

/** The bytes of one tensor, in pieces of a few megabytes. */
function* tensorBytes(tensor, shape, random) {
  if (tensor.content === 'rope_factors') return yield new Uint8Array(ropeFactors(shape).buffer);
  if (tensor.content === 'gain') {
    const gains = Float32Array.from({ length: tensor.dims[0] }, () => 1 + 0.1 * random.uniform());
    return yield new Uint8Array(gains.buffer);
  }
  const type = blockTypes[tensor.type];
  const nBlocks = tensor.dims[0] * (tensor.dims[1] / type.values);
  const most = Math.floor((4 << 20) / type.bytes);
  for (let done = 0; done < nBlocks; done += most) {
    yield type.randomBlocks(Math.min(most, nBlocks - done), tensor.deviation, random);
  }
}

function writeAll(file, bytes) {
  for (let done = 0; done < bytes.length; ) done += writeSync(file, bytes, done);
}

/** Writes under another name first, so that a file that exists is complete. */
export function writeModel(out, shapeName, typeName, seed) {
  const shape = shapes[shapeName];
  if (!shape) throw new Error(`unknown shape ${shapeName}; there are ${Object.keys(shapes).join(', ')}`);
  const tensors = tensorsOf(shape, typeName);
  const header = encodeHeader(metadataOf(shape, shapeName, typeName), tensors);
  const random = new Random(seed);
  mkdirSync(dirname(out), { recursive: true });
  const file = openSync(`${out}.tmp`, 'w');
  writeAll(file, header);
  for (const tensor of tensors) {
    let size = 0;
    for (const bytes of tensorBytes(tensor, shape, random)) {
      writeAll(file, bytes);
      size += bytes.length;
    }
    if (size !== tensor.size) throw new Error(`${tensor.name}: wrote ${size} bytes, announced ${tensor.size}`);
    writeAll(file, new Uint8Array(-size & 31)); // tensors begin at multiples of 32
  }
  closeSync(file);
  renameSync(`${out}.tmp`, out);
}

function main() {
  const { values } = parseArgs({
    options: {
      shape: { type: 'string', default: '135m' },
      type: { type: 'string', default: 'Q8_0' },
      out: { type: 'string' },
      seed: { type: 'string', default: '1' },
    },
  });
  const out = values.out ?? `build/bench/${values.shape}-${values.type.toLowerCase()}.gguf`;
  writeModel(out, values.shape, values.type, Number(values.seed));
  console.log(out);
}

if (process.argv[1] === new URL(import.meta.url).pathname) main();
