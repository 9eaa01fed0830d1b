// Perplexity of held-out prose: by position, and with the context cut short.
import { basename } from 'node:path';
import { signed, table } from '../quality/markdown.mjs';
import { meanAndError } from '../quality/measure.mjs';

const trainedLength = 2048;
const bounds = [0, 16, 64, 128, 256, 512, 768, 1024, 1280, 1536, 1792, 2047];
const contexts = [64, 128, 256, 512, 1024, 1984];
const stride = 64;
const targets = 2048;

// As the kit's README gives them, from PyTorch.
const kit = {
  Conrad_Nostromo_1904: { all: 40.26, cut: [48.02, 45.8, 43.66, 40.95, 39.75, 39.12] },
  Dickens_Expectations_1861: { all: 31.12, cut: [34.92, 33.87, 32.1, 31.49, 31.35, 31.1] },
  Hardy_Madding_1874: { all: 39.9, cut: [45.11, 42.95, 42.22, 42.01, 40.67, 40.55] },
};

const novel = (text) => basename(text, '.txt');
const perplexity = ({ mean, error }) => `${Math.exp(mean).toFixed(2)} ± ${(Math.exp(mean) * error).toFixed(2)}`;

function scores({ measurements, model }, text, chunk, step, more = []) {
  const args = ['--text', text, '--protocol', 'chunks', '--ctx', chunk, '--stride', step, ...more];
  return measurements.run('ppl', model, [...args.map(String), '--kv', 'exact'], { scores: true }).scores;
}

function byPosition(report) {
  const rows = report.texts.map((text) => {
    const all = scores(report, text, trainedLength, trainedLength);
    const perWindow = trainedLength - 1; // the first token of a window is not predicted
    const between = (from, to) => all.filter((_, i) => i % perWindow >= from && i % perWindow < to);
    const cells = bounds.slice(1).map((to, i) => Math.exp(meanAndError(between(bounds[i], to)).mean).toFixed(2));
    return [novel(text), ...cells, perplexity(meanAndError(all)), kit[novel(text)]?.all ?? ''];
  });
  const heads = bounds.slice(1).map((to, i) => `${bounds[i]} – ${to}`);
  return table(['novel', ...heads, 'all', 'kit, all'], `l${'r'.repeat(heads.length + 2)}`, rows);
}

function cutShort(report) {
  const rows = report.texts.flatMap((text) => {
    const last = (context) =>
      scores(report, text, context + stride, stride, ['--max-tokens', contexts.at(-1) + targets]).slice(-targets);
    const full = last(contexts.at(-1));
    const measured = contexts.map((context) => {
      const these = last(context);
      const { mean, error } = meanAndError(these.map((x, i) => x - full[i]));
      const gain = context === contexts.at(-1) ? '' : `<br>${signed(mean, 3)} ± ${error.toFixed(3)}`;
      return perplexity(meanAndError(these)) + gain;
    });
    return [
      [novel(text), ...measured],
      [`… kit`, ...(kit[novel(text)]?.cut ?? contexts.map(() => ''))],
    ];
  });
  return table(['novel', ...contexts.map(String)], `l${'r'.repeat(contexts.length)}`, rows);
}

export function proseSection(report) {
  return `## Perplexity of held-out prose

Three novels that were never trained on. \`strata ppl MODEL --text NOVEL --kv exact --protocol chunks --ctx ${trainedLength} --stride ${trainedLength}\`: the whole
novel in windows of ${trainedLength.toLocaleString('en-US')} tokens, each from an empty memory, by position in the window. *Kit*: what its README says of PyTorch with the
unrounded weights, on 40 windows spread over the novel.

${byPosition(report)}

With the context cut to so many tokens: \`… --ctx C --stride ${stride} --max-tokens ${contexts.at(-1) + targets}\`, C being ${stride} more; the same ${targets.toLocaleString('en-US')} targets in every column
(the kit's are others, of the same number). Below: nats a token worse than with the longest.

${cutShort(report)}
`;
}
