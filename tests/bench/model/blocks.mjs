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

const mean = (levels) => levels.reduce((sum, level) => sum + level, 0) / levels.length;
const range = (count, from = 0) => Array.from({ length: count }, (_, i) => i + from);

/**
 * The other types: any bytes, with a half that scales the block and, where there is one, a half for its minimum.
 * @param {{ bytes: number, scaleAt: number, codes: number[], groups?: number[], minimumAt?: number, minimumSign?: number }} layout
 *   codes: what a code can stand for; groups: what the scale of a group can be, and its minimum; minimumSign: how it counts
 */
function randomBlocksOf({ bytes, scaleAt, codes, groups = [1], minimumAt, minimumSign = 1 }) {
  const squares = (list) => mean(list.map((x) => x * x));
  const middle = minimumAt === undefined ? 0 : mean(codes); // the minimum that makes the mean 0
  const spread = Math.sqrt(squares(groups) * (squares(codes) + middle ** 2) - 2 * (mean(groups) * middle) ** 2);
  return (nBlocks, std, random) => {
    const all = random.bytes(nBlocks * bytes);
    const scale = halfBits(std / spread);
    for (let at = 0; at < all.length; at += bytes) {
      const flip = random.word() & 0x8000; // scales of both signs keep the mean at 0
      putHalf(all, at + scaleAt, scale ^ flip);
      if (middle !== 0) putHalf(all, at + minimumAt, halfBits((-minimumSign * middle * std) / spread) ^ flip);
    }
    return all;
  };
}

const iq4Levels = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];
const layouts = {
  Q4_1: { bytes: 20, scaleAt: 0, codes: range(16), minimumAt: 2 },
  Q5_0: { bytes: 22, scaleAt: 0, codes: range(32, -16) },
  Q5_1: { bytes: 24, scaleAt: 0, codes: range(32), minimumAt: 2 },
  Q2_K: { bytes: 84, scaleAt: 80, codes: range(4), groups: range(16), minimumAt: 82, minimumSign: -1 },
  Q3_K: { bytes: 110, scaleAt: 108, codes: range(8, -4), groups: range(64, -32) },
  Q4_K: { bytes: 144, scaleAt: 0, codes: range(16), groups: range(64), minimumAt: 2, minimumSign: -1 },
  Q5_K: { bytes: 176, scaleAt: 0, codes: range(32), groups: range(64), minimumAt: 2, minimumSign: -1 },
  IQ4_NL: { bytes: 18, scaleAt: 0, codes: iq4Levels },
  IQ4_XS: { bytes: 136, scaleAt: 0, codes: iq4Levels, groups: range(64, -32) },
};
const other = (id, name, values, fileType) => ({
  [name]: { id, values, bytes: layouts[name].bytes, fileType, randomBlocks: randomBlocksOf(layouts[name]) },
});

// id: of the GGUF format; values, bytes: of one block; fileType: general.file_type of a file that is mostly this.
export const blockTypes = {
  F32: { id: 0, values: 1, bytes: 4 },
  Q4_0: { id: 2, values: 32, bytes: 18, fileType: 2, randomBlocks: randomQ4_0 },
  Q8_0: { id: 8, values: 32, bytes: 34, fileType: 7, randomBlocks: randomQ8_0 },
  Q6_K: { id: 14, values: 256, bytes: 210, fileType: 18, randomBlocks: randomQ6_K },
  ...other(3, 'Q4_1', 32, 3),
  ...other(6, 'Q5_0', 32, 8),
  ...other(7, 'Q5_1', 32, 9),
  ...other(10, 'Q2_K', 256, 10),
  ...other(11, 'Q3_K', 256, 12),
  ...other(12, 'Q4_K', 256, 15),
  ...other(13, 'Q5_K', 256, 17),
  ...other(20, 'IQ4_NL', 32, 25),
  ...other(23, 'IQ4_XS', 256, 30),
};
