// Random blocks of the quantised types, made directly: every quant is as likely as any other, and the scale is what gives
// the wanted standard deviation.

/** @returns {number} the bits of the nearest half-precision number; scales are far from overflow */
function halfBits(value) {
  const sign = value < 0 ? 0x8000 : 0;
  const exponent = Math.max(-14, Math.floor(Math.log2(Math.abs(value)))); // -14: and below, where halves are evenly spaced
  const steps = Math.round((Math.abs(value) / 2 ** exponent) * 1024); // 1024 to 2047, less below
  return sign + ((exponent + 14) << 10) + steps; // the leading 1 of `steps` adds the missing one to the exponent
}

function putHalf(bytes, at, bits) {
  bytes[at] = bits & 255;
  bytes[at + 1] = bits >> 8;
}

// Standard deviations of a uniform integer: -127..127, -8..7, -32..31.
const deviation = {
  q8: Math.sqrt((255 ** 2 - 1) / 12),
  q4: Math.sqrt((16 ** 2 - 1) / 12),
  q6: Math.sqrt((64 ** 2 - 1) / 12),
};

/** A half, then 32 signed bytes. */
function randomQ8_0(nBlocks, std, random) {
  const bytes = random.bytes(nBlocks * 34);
  const scale = halfBits(std / deviation.q8);
  for (let at = 0; at < bytes.length; at += 34) {
    putHalf(bytes, at, scale);
    for (let i = at + 2; i < at + 34; i++) if (bytes[i] === 0x80) bytes[i] = 0x81; // -128 does not occur in real files
  }
  return bytes;
}

/** A half, then 16 bytes of two quants each. Quants reach from -8 to 7, so scales of both signs keep the mean at 0. */
function randomQ4_0(nBlocks, std, random) {
  const bytes = random.bytes(nBlocks * 18);
  const scale = halfBits(std / deviation.q4);
  for (let at = 0; at < bytes.length; at += 18) putHalf(bytes, at, scale ^ (random.word() & 0x8000));
  return bytes;
}

/** 128 + 64 bytes of quants, 16 signed scales of 16 values each, a half that multiplies them. */
function randomQ6_K(nBlocks, std, random) {
  const bytes = random.bytes(nBlocks * 210);
  const groupScale = 64;
  const scale = halfBits(std / deviation.q6 / groupScale);
  for (let at = 0; at < bytes.length; at += 210) {
    for (let i = at + 192; i < at + 208; i++) bytes[i] = bytes[i] & 1 ? groupScale : 256 - groupScale;
    putHalf(bytes, at + 208, scale);
  }
  return bytes;
}

// id: of the GGUF format; values, bytes: of one block; fileType: general.file_type of a file that is mostly this.
export const blockTypes = {
  F32: { id: 0, values: 1, bytes: 4 },
  Q4_0: { id: 2, values: 32, bytes: 18, fileType: 2, randomBlocks: randomQ4_0 },
  Q8_0: { id: 8, values: 32, bytes: 34, fileType: 7, randomBlocks: randomQ8_0 },
  Q6_K: { id: 14, values: 256, bytes: 210, randomBlocks: randomQ6_K },
};
