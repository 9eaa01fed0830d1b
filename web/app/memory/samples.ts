// What memory took at each length of the conversation: the data of the plot.
import type { MemoryStats } from '../../lib';
import { text } from '../strings';
import { drawnBits, tierMark } from './tiers';

export interface Sample {
  positions: number;
  bytes: number;
  bytesFp16: number;
  bytesFp32: number;
  tiers: Map<string, { bits: number; bytes: number }>; // by label
}

/** In place of bits: what is in memory, but not for any token of its own. It lies on top. */
export const aside = Number.POSITIVE_INFINITY;

const most = 1200; // samples; then every second one goes

export function sampleOf(stats: MemoryStats): Sample {
  const { positions, bytes, bytesFp16, bytesFp32, tiers, keptBytes, spareBytes } = stats;
  const byLabel: Sample['tiers'] = new Map();
  for (const tier of tiers) {
    const label = tierMark(tier);
    byLabel.set(label, { bits: drawnBits(tier), bytes: (byLabel.get(label)?.bytes ?? 0) + tier.bytes });
  }
  if (keptBytes + spareBytes > 0) byLabel.set(text.memory.aside, { bits: aside, bytes: keptBytes + spareBytes });
  return { positions, bytes, bytesFp16, bytesFp32, tiers: byLabel };
}

/** Samples stay in order of positions: where memory was cut back, later samples go. */
export function addSample(samples: Sample[], sample: Sample): Sample[] {
  const earlier = samples.at(-1)?.positions ?? -1;
  const kept = earlier < sample.positions ? samples : samples.filter(({ positions }) => positions < sample.positions);
  const thinned = kept.length < most ? kept : kept.filter((_, index) => index % 2 === 0);
  return [...thinned, sample];
}

/** All tiers there ever were, coarsest first: the order in which they lie on each other. */
export function plottedTiers(samples: Sample[]): { label: string; bits: number }[] {
  const tiers = new Map<string, number>();
  for (const sample of samples) for (const [label, { bits }] of sample.tiers) tiers.set(label, bits);
  return [...tiers].map(([label, bits]) => ({ label, bits })).sort((a, b) => a.bits - b.bits);
}
