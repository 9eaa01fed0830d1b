// Writes the seeds that the fuzzers start from:
//   node tests/fuzz/make_corpus.mjs
// Inputs that a fuzzer found (named by their hash) stay as they are.
import { mkdirSync, writeFileSync } from 'node:fs';

const type = { u8: 0, i8: 1, u32: 4, i32: 5, f32: 6, bool: 7, string: 8, array: 9, u64: 10, f64: 12 };

const number = (size, write) => {
  const buffer = Buffer.alloc(size);
  write(buffer);
  return buffer;
};
const u8 = (value) => Buffer.from([value]);
const u32 = (value) => number(4, (buffer) => buffer.writeUInt32LE(value));
const i32 = (value) => number(4, (buffer) => buffer.writeInt32LE(value));
const f32 = (value) => number(4, (buffer) => buffer.writeFloatLE(value));
const f64 = (value) => number(8, (buffer) => buffer.writeDoubleLE(value));
const u64 = (value) => number(8, (buffer) => buffer.writeBigUInt64LE(BigInt(value)));
const text = (value) => Buffer.concat([u64(Buffer.byteLength(value)), Buffer.from(value)]);
const entry = (key, valueType, value) => Buffer.concat([text(key), u32(valueType), value]);
const arrayOf = (elementType, elements) => Buffer.concat([u32(elementType), u64(elements.length), ...elements]);
const strings = (key, values) => entry(key, type.array, arrayOf(type.string, values.map(text)));
const tensor = (name, shape, tensorType, offset) =>
  Buffer.concat([text(name), u32(shape.length), ...shape.map(u64), u32(tensorType), u64(offset)]);

function gguf(metadata, tensors = [], data = Buffer.alloc(0), alignment = 32, version = 3) {
  const header = Buffer.concat([
    Buffer.from('GGUF'),
    u32(version),
    u64(tensors.length),
    u64(metadata.length),
    ...metadata,
    ...tensors,
  ]);
  const padding = tensors.length > 0 ? (alignment - (header.length % alignment)) % alignment : 0;
  return Buffer.concat([header, Buffer.alloc(padding), data]);
}

const scalars = [
  entry('u8', type.u8, u8(7)),
  entry('i32', type.i32, i32(-7)),
  entry('f32', type.f32, f32(0.5)),
  entry('f64', type.f64, f64(1e-5)),
  entry('flag', type.bool, u8(1)),
  entry('name', type.string, text('small')),
  entry('u64', type.u64, u64(1n << 40n)),
];

const byteLevelVocabulary = [
  entry('tokenizer.ggml.model', type.string, text('gpt2')),
  entry('tokenizer.ggml.pre', type.string, text('qwen2')),
  strings('tokenizer.ggml.tokens', [
    '<|im_end|>',
    'H',
    'e',
    'l',
    'o',
    'a',
    'b',
    'Ġ',
    'el',
    'ab',
    'Ġab',
    '1',
    'Ċ',
    '<t>',
  ]),
  strings('tokenizer.ggml.merges', ['e l', 'a b', 'Ġ ab']),
  entry(
    'tokenizer.ggml.token_type',
    type.array,
    arrayOf(type.i32, [3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 4].map(i32)),
  ),
  entry('tokenizer.ggml.eos_token_id', type.u32, u32(0)),
  entry('tokenizer.ggml.add_bos_token', type.bool, u8(0)),
];

const sentencePieceVocabulary = [
  entry('general.name', type.string, text('Phi-3')),
  entry('tokenizer.ggml.model', type.string, text('llama')),
  strings('tokenizer.ggml.tokens', ['<unk>', '<s>', '</s>', '<0xFF>', 'a', 'b', 'ab', '▁', '▁ab', 'l', 'll']),
  entry('tokenizer.ggml.scores', type.array, arrayOf(type.f32, [0, 0, 0, 0, -1, -2, -1, -3, -0.5, -7, -6].map(f32))),
  entry('tokenizer.ggml.token_type', type.array, arrayOf(type.i32, [2, 3, 3, 6, 1, 1, 1, 1, 1, 1, 1].map(i32))),
];

const nested = (depth) =>
  depth === 0 ? arrayOf(type.u8, [u8(1)]) : Buffer.concat([u32(type.array), u64(1), nested(depth - 1)]);

const small = gguf(scalars, [tensor('weight', [32, 2], 8, 0), tensor('bias', [3], 0, 96)], Buffer.alloc(108, 1));
// A tensor of every quantised type, by its number in the file: rows of 256 values, and the bytes that two of them take.
const quantised = [
  [2, 288],
  [3, 320],
  [6, 352],
  [7, 384],
  [8, 544],
  [10, 168],
  [11, 220],
  [12, 288],
  [13, 352],
  [14, 420],
  [20, 288],
  [23, 272],
];
const padded = (size) => Math.ceil(size / 32) * 32;
const tensorTypes = gguf(
  [],
  quantised.map(([id], i) =>
    tensor(
      `type ${id}`,
      [256, 2],
      id,
      quantised.slice(0, i).reduce((sum, [, size]) => sum + padded(size), 0),
    ),
  ),
  Buffer.from(
    Array.from({ length: quantised.reduce((sum, [, size]) => sum + padded(size), 0) }, (_, i) => (i * 89) & 255),
  ),
);

const seeds = {
  gguf: {
    small,
    tensor_types: tensorTypes,
    truncated: small.subarray(0, small.length - 1),
    empty_v2: gguf([], [], Buffer.alloc(0), 32, 2),
    aligned: gguf([entry('general.alignment', type.u32, u32(64))], [tensor('t', [2, 2], 1, 64)], Buffer.alloc(72), 64),
    overflow: gguf([], [tensor('t', [1n << 32n, 1n << 32n], 0, 0)]),
    unknown_type: gguf([], [tensor('t', [256], 16, 0)], Buffer.alloc(66)),
    nested: gguf([entry('deep', type.array, nested(3))]),
    byte_level: gguf(byteLevelVocabulary),
    sentence_piece: gguf(sentencePieceVocabulary),
  },
  tokenizer: Object.fromEntries(
    [
      "aaaab abc  it's 1234\n\n [tag] <|end|>",
      '\x1f<|end|>\x1f<|end|>\x1f typed \x1f',
      '</s><s><0x0A> a▁a ab',
      "don'T é 你好 🦙 ½ \u00a0\u3000x",
      '\t\r\n  \r\n x',
    ].flatMap((sample, i) =>
      Array.from({ length: 18 }, (_, subject) => [
        `text${i}_${subject}`,
        Buffer.concat([u8(subject), u8(i), Buffer.from(sample), u8(0xf0), u8(0x9f)]),
      ]),
    ),
  ),
  // Each tiny model as it is, and with one byte of its first key changed.
  model: Object.fromEntries(
    Array.from({ length: 14 }, (_, i) => [
      [`tiny_${i}`, u8(i)],
      [`changed_${i}`, Buffer.from([i, 0, 40, 0])],
    ]).flat(),
  ),
};

for (const [target, files] of Object.entries(seeds)) {
  const folder = new URL(`corpus/${target}/`, import.meta.url);
  mkdirSync(folder, { recursive: true });
  for (const [name, bytes] of Object.entries(files)) writeFileSync(new URL(name, folder), bytes);
  console.log(`${Object.keys(files).length} seeds for ${target}_fuzz`);
}
