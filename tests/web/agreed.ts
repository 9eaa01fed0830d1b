// What every build must compute (tests/engine/signature.h), for the WebAssembly builds.
import { readFileSync } from 'node:fs';

const header = readFileSync('tests/engine/signature.h', 'utf8');
function constant(name: string): number {
  const value = new RegExp(`constexpr \\w+ ${name} = (\\w+);`).exec(header)?.[1];
  if (value === undefined) throw new Error(`tests/engine/signature.h has no constant ${name}`);
  return Number(value);
}

export const agreed = {
  signature: constant('kSignature'),
  weightsSignature: constant('kWeightsSignature'),
  digest: constant('kLogitsDigest'),
  tokens: Array.from({ length: constant('kDigestTokens') }, (_, i) => 3 + ((i * 7919) % 4000)),
  memory: { preset: 'quality' },
  tiny: {
    model: 'tests/fixtures/gemma2-mini-q4_0.gguf', // as tests/engine/tiny_models.cpp makes it
    digest: constant('kTinyDigest'),
    tokens: Array.from({ length: 300 }, (_, i) => 3 + ((i * 7919 + i * i * 31) % 264)),
  },
};
