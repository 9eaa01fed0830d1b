// GGUF version 3, little-endian: magic, counts, metadata, tensor list, padding; the tensors' bytes follow.
import { blockTypes } from './blocks.mjs';

/** A number that is to be written as float32; plain numbers are written as uint32. */
export class F32 {
  constructor(value) {
    this.value = value;
  }
}

const valueTypes = { u32: 4, i32: 5, f32: 6, bool: 7, string: 8, array: 9 };

class Writer {
  #parts = [];
  #size = 0;

  get size() {
    return this.#size;
  }
  bytes(bytes) {
    this.#parts.push(bytes);
    this.#size += bytes.length;
  }
  number(size, write) {
    const buffer = Buffer.alloc(size);
    write(buffer);
    this.bytes(buffer);
  }
  u32(value) {
    this.number(4, (buffer) => buffer.writeUInt32LE(value));
  }
  u64(value) {
    this.number(8, (buffer) => buffer.writeBigUInt64LE(BigInt(value)));
  }
  string(text) {
    const bytes = Buffer.from(text, 'utf8');
    this.u64(bytes.length);
    this.bytes(bytes);
  }
  value(value) {
    if (typeof value === 'string') {
      this.u32(valueTypes.string);
      this.string(value);
    } else if (typeof value === 'boolean') {
      this.u32(valueTypes.bool);
      this.bytes(Buffer.from([Number(value)]));
    } else if (value instanceof F32) {
      this.u32(valueTypes.f32);
      this.number(4, (buffer) => buffer.writeFloatLE(value.value));
    } else if (value instanceof Int32Array) {
      this.u32(valueTypes.array);
      this.u32(valueTypes.i32);
      this.u64(value.length);
      this.bytes(new Uint8Array(value.buffer));
    } else if (Array.isArray(value)) {
      this.u32(valueTypes.array);
      this.u32(valueTypes.string);
      this.u64(value.length);
      for (const text of value) this.string(text);
    } else {
      this.u32(valueTypes.u32);
      this.u32(value);
    }
  }
  concat() {
    return Buffer.concat(this.#parts);
  }
}

/**
 * Everything before the tensors' bytes.
 * @param {Record<string, string | boolean | number | F32 | Int32Array | string[]>} metadata
 * @param {import('./shapes.mjs').Tensor[]} tensors
 */
export function encodeHeader(metadata, tensors) {
  const writer = new Writer();
  writer.bytes(Buffer.from('GGUF'));
  writer.u32(3);
  writer.u64(tensors.length);
  writer.u64(Object.keys(metadata).length);
  for (const [key, value] of Object.entries(metadata)) {
    writer.string(key);
    writer.value(value);
  }
  let offset = 0;
  for (const tensor of tensors) {
    writer.string(tensor.name);
    writer.u32(tensor.dims.length);
    for (const dim of tensor.dims) writer.u64(dim);
    writer.u32(blockTypes[tensor.type].id);
    writer.u64(offset);
    offset += (tensor.size + 31) & ~31;
  }
  writer.bytes(new Uint8Array(-writer.size & 31));
  return writer.concat();
}
