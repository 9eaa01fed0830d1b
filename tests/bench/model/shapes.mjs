// The shapes of real models, as metadata and as a list of tensors in the order of the file.
import { blockTypes } from './blocks.mjs';
import { F32 } from './gguf.mjs';
import { vocabularyMetadata } from './vocabulary.mjs';

export const shapes = {
  // SmolLM2 135M
  '135m': {
    dim: 576,
    layers: 30,
    heads: 9,
    kvHeads: 3,
    headDim: 64,
    hidden: 1536,
    vocabulary: 49152,
    trained: 8192,
    ropeTheta: 100000,
    pre: 'smollm',
  },
  // Llama 3.2 1B
  '1b': {
    dim: 2048,
    layers: 16,
    heads: 32,
    kvHeads: 8,
    headDim: 64,
    hidden: 8192,
    vocabulary: 128256,
    trained: 131072,
    ropeTheta: 500000,
    ropeFactor: 32,
    pre: 'llama-bpe',
  },
  // Llama 3.2 3B
  '3b': {
    dim: 3072,
    layers: 28,
    heads: 24,
    kvHeads: 8,
    headDim: 128,
    hidden: 8192,
    vocabulary: 128256,
    trained: 131072,
    ropeTheta: 500000,
    ropeFactor: 32,
    pre: 'llama-bpe',
  },
};

export function metadataOf(shape, shapeName, typeName) {
  return {
    'general.architecture': 'llama',
    'general.name': `random ${shapeName}`,
    'general.file_type': blockTypes[typeName].fileType,
    'general.quantization_version': 2,
    'llama.block_count': shape.layers,
    'llama.context_length': shape.trained,
    'llama.embedding_length': shape.dim,
    'llama.feed_forward_length': shape.hidden,
    'llama.attention.head_count': shape.heads,
    'llama.attention.head_count_kv': shape.kvHeads,
    'llama.attention.key_length': shape.headDim,
    'llama.attention.value_length': shape.headDim,
    'llama.attention.layer_norm_rms_epsilon': new F32(1e-5),
    'llama.rope.dimension_count': shape.headDim,
    'llama.rope.freq_base': new F32(shape.ropeTheta),
    'llama.vocab_size': shape.vocabulary,
    ...vocabularyMetadata(shape.vocabulary, shape.pre),
  };
}

/** A row must be whole blocks. */
const fitting = (typeName, rowLength) => (rowLength % blockTypes[typeName].values === 0 ? typeName : 'Q8_0');

/** Files of mostly smaller types keep the embedding, which is also the output, in Q6_K. */
const embeddingType = (typeName, dim) => fitting(typeName === 'Q8_0' ? 'Q8_0' : 'Q6_K', dim);

/** @typedef {{ name: string, type: string, dims: number[], content: string, deviation?: number, size: number }} Tensor */

/** @returns {Tensor} */
function tensor(name, type, dims, content, deviation) {
  const count = dims.reduce((product, dim) => product * dim, 1);
  return { name, type, dims, content, deviation, size: (count / blockTypes[type].values) * blockTypes[type].bytes };
}

/** dims: [row length, rows], as GGUF writes them. */
function layerTensors(shape, type, layer) {
  const { dim, hidden, headDim } = shape;
  const queries = shape.heads * headDim;
  const keys = shape.kvHeads * headDim;
  const residual = (2 * shape.layers) ** -0.5; // so that the sum over all layers has the size of one
  const gain = (name) => tensor(`blk.${layer}.${name}.weight`, 'F32', [dim], 'gain');
  const matrix = (name, inputs, outputs, scale = 1) =>
    tensor(`blk.${layer}.${name}.weight`, fitting(type, inputs), [inputs, outputs], 'random', scale * inputs ** -0.5);
  return [
    gain('attn_norm'),
    matrix('attn_q', dim, queries),
    matrix('attn_k', dim, keys),
    matrix('attn_v', dim, keys),
    matrix('attn_output', queries, dim, residual),
    gain('ffn_norm'),
    matrix('ffn_gate', dim, hidden),
    matrix('ffn_up', dim, hidden),
    matrix('ffn_down', hidden, dim, residual),
  ];
}

/** @returns {Tensor[]} */
export function tensorsOf(shape, typeName) {
  if (!blockTypes[typeName]?.fileType) {
    const names = Object.keys(blockTypes).filter((name) => blockTypes[name].fileType);
    throw new Error(`unknown type ${typeName}; there are ${names.join(', ')}`);
  }
  const embedding = [shape.dim, shape.vocabulary];
  const layers = Array.from({ length: shape.layers }, (_, layer) => layerTensors(shape, typeName, layer));
  return [
    tensor('token_embd.weight', embeddingType(typeName, shape.dim), embedding, 'random', 0.02),
    ...(shape.ropeFactor ? [tensor('rope_freqs.weight', 'F32', [shape.headDim / 2], 'rope_factors')] : []),
    ...layers.flat(),
    tensor('output_norm.weight', 'F32', [shape.dim], 'gain'),
  ];
}
