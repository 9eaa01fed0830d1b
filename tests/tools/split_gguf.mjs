// Splits a GGUF file into parts as llama.cpp's gguf-split does, for tests: every part has the keys split.no, split.count and
// split.tensors.count, the first one all other metadata, and tensors follow in order. And makes a file large without weights.
//   node tests/tools/split_gguf.mjs MODEL.gguf FOLDER PARTS        writes FOLDER/split-00001-of-0000N.gguf …
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const alignment = 32;
const types = { u16: 2, i32: 5, string: 8, array: 9 };
const scalarBytes = { 0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8 };

/** Where things lie in a GGUF file: its metadata, what is said of each tensor, and where the tensors' bytes begin. */
function layoutOf(file) {
  let at = 8;
  const number = () => {
    at += 8;
    return Number(file.readBigUInt64LE(at - 8));
  };
  const skipString = () => {
    const length = number();
    at += length;
  };
  const skipValue = (type) => {
    if (type === types.string) skipString();
    else if (type === types.array) {
      const element = file.readUInt32LE(at);
      at += 4;
      for (let left = number(); left > 0; --left) skipValue(element);
    } else at += scalarBytes[type];
  };
  const nTensors = number();
  const nMetadata = number();
  const metadataBegin = at;
  for (let i = 0; i < nMetadata; ++i) {
    skipString();
    at += 4;
    skipValue(file.readUInt32LE(at - 4));
  }
  const metadata = file.subarray(metadataBegin, at);
  const tensors = [];
  for (let i = 0; i < nTensors; ++i) {
    const begin = at;
    skipString();
    at += 4 + 8 * file.readUInt32LE(at) + 4;
    const offsetAt = at;
    tensors.push({ info: file.subarray(begin, at), offsetAt, offset: number() });
  }
  return { nMetadata, metadata, tensors, data: Math.ceil(at / alignment) * alignment };
}

/**
 * The same model with all tensors but the first `gap` bytes further on: so many are to be put behind the file's first
 * `before` bytes. A model that is large, and of which hardly a page is touched.
 * @returns {{ file: Buffer, before: number }}
 */
export function withGap(original, gap) {
  const file = Buffer.from(original);
  const { tensors, data } = layoutOf(file);
  const later = tensors.slice(1);
  for (const { offset, offsetAt } of later) file.writeBigUInt64LE(BigInt(offset + gap), offsetAt);
  return { file, before: data + later[0].offset };
}

/** @returns {Buffer[]} */
export function splitGguf(file, parts) {
  const { nMetadata, metadata, tensors, data } = layoutOf(file);
  const nTensors = tensors.length;
  tensors.forEach((tensor, i) => {
    tensor.data = file.subarray(data + tensor.offset, tensors[i + 1] ? data + tensors[i + 1].offset : file.length);
  });
  const each = Math.ceil(nTensors / parts);
  return Array.from({ length: parts }, (_, no) => {
    const own = [entry('split.no', types.u16, no), entry('split.count', types.u16, parts)];
    own.push(entry('split.tensors.count', types.i32, nTensors));
    const some = tensors.slice(no * each, (no + 1) * each);
    return part(some, no === 0 ? [...own, metadata] : own, own.length + (no === 0 ? nMetadata : 0));
  });
}

function part(tensors, metadata, nMetadata) {
  let offset = 0;
  const infos = tensors.map(({ info, data }) => {
    const placed = Buffer.concat([info, u64(offset)]);
    offset += Math.ceil(data.length / alignment) * alignment;
    return placed;
  });
  const head = Buffer.concat([
    Buffer.from('GGUF\x03\0\0\0'),
    u64(tensors.length),
    u64(nMetadata),
    ...metadata,
    ...infos,
  ]);
  return Buffer.concat([head, ...[head, ...tensors.map(({ data }) => data)].flatMap(padded)]);
}

// The head is there already; of the others, the bytes and what aligns the next one.
const padded = (bytes, i) => [...(i === 0 ? [] : [bytes]), Buffer.alloc(-bytes.length & (alignment - 1))];

function entry(key, type, value) {
  const bytes = Buffer.alloc(type === types.u16 ? 2 : 4);
  if (type === types.u16) bytes.writeUInt16LE(value);
  else bytes.writeInt32LE(value);
  const kind = Buffer.alloc(4);
  kind.writeUInt32LE(type);
  return Buffer.concat([u64(key.length), Buffer.from(key), kind, bytes]);
}

function u64(value) {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const [model, folder, count] = process.argv.slice(2);
  const parts = splitGguf(readFileSync(model), Number(count));
  const five = (n) => String(n).padStart(5, '0');
  parts.forEach((bytes, i) => {
    writeFileSync(join(folder, `split-${five(i + 1)}-of-${five(parts.length)}.gguf`), bytes);
  });
}
