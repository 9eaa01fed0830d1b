// How far the predictions of each memory are from those of the exact one: in all, and by age.

import { change, integer, plusMinus, share, signed, table } from './markdown.mjs';
import { compared } from './memories.mjs';

const isExact = (tier) => tier.key_bits === 32 && tier.value_bits === 32;

/** What lies outside the exact window (all of it, where there is none): its bytes beside those of FP16 and FP32. */
function sealedCells({ kv }) {
  const sealed = kv.tiers.filter((tier) => !isExact(tier));
  const sum = (key) => sealed.reduce((total, tier) => total + tier[key], 0);
  const positions = kv.tiers.reduce((total, tier) => total + tier.positions, 0);
  const plain = (whole) => (whole * sum('positions')) / positions;
  return [share(sum('bytes'), plain(kv.bytes_fp16)), share(sum('bytes'), plain(kv.bytes_fp32))];
}

function row({ name, keepsAll }, record) {
  const bytes = keepsAll ? ['–', '–', '–'] : [...sealedCells(record), integer(record.kv.bytes)];
  return [
    name,
    plusMinus(1000 * record.mean_kld, 1000 * record.mean_kld_se),
    (1000 * record.p99_kld).toPrecision(3),
    `${(100 * record.same_top).toFixed(2)} ± ${(100 * record.same_top_se).toFixed(2)}`,
    change(record.ppl_ratio, record.ppl_ratio_se),
    ...bytes,
  ];
}

function summaryTable(records, tokens) {
  return table(
    [
      'memory',
      'mean KLD, 10⁻³',
      '99 %, 10⁻³',
      'same top, %',
      'PPL, %',
      'sealed, of FP16',
      'of FP32',
      `bytes at ${integer(tokens)}`,
    ],
    'lrrrrrrr',
    compared.map((memory, i) => row(memory, records[i])),
  );
}

function ageTable(records) {
  const ages = records[0].by_age.map(({ from, to }) => `${integer(from)} – ${integer(to)}`);
  const cells = (record) =>
    record.by_age.map(
      (age) =>
        `${plusMinus(1000 * age.mean_kld, 1000 * age.mean_kld_se)}<br>${signed(100 * age.nll_diff, 2)} ± ${(100 * age.nll_diff_se).toFixed(2)} %`,
    );
  return table(
    ['memory', ...ages],
    `l${'r'.repeat(ages.length)}`,
    compared.map(({ name }, i) => [name, ...cells(records[i])]),
  );
}

function tables({ measurements, texts, tokens }, model) {
  const of = (args) =>
    measurements.run('kld', model, [
      ...texts.flatMap((text) => ['--text', text]),
      '--max-tokens',
      String(tokens),
      ...args,
    ]);
  const records = compared.map(({ args }) => of(args));
  return `${records[0].n_scored.toLocaleString('en-US')} positions. PPL with the exact memory: ${records[0].ppl_exact.toFixed(2)}.

${summaryTable(records, tokens)}

By age (a query's position, which is the age of the oldest key that it sees): mean KLD in thousandths of a nat, and below it the change of NLL.

${ageTable(records)}
`;
}

export function kldSection(report) {
  const { model, floatModel } = report;
  const withFloats = floatModel
    ? `
### Weights in FP16

\`${floatModel.name}\`: the same weights, unrounded. Activations stay floats, so that the memory is all that differs.

${tables(report, floatModel.path)}`
    : '';
  return `## Against the exact memory

\`strata kld MODEL --text TEXT … --max-tokens ${report.tokens}\` with ${compared.map(({ args }) => `\`${args.join(' ')}\``).join(', ')}.
Over query positions from 256 on, whatever the memory. KLD in thousandths of a nat. **Sealed** is what lies outside the exact
window; the memory in tiers has a window of 129 to 192 positions, row formats have the one that is said. *Deleted*: a query sees the newest positions and the first four only.

### Weights in Q8_0, as shipped

With such weights, activations are rounded to 8 bits, and a difference in a last bit can grow: the row of FP16 shows how far. It is a
floor that every memory but the exact one has.

${tables(report, model)}${withFloats}`;
}
