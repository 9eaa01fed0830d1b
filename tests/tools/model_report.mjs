// Writes docs/default-model.md: what the model that ships is, and what it can do, measured through the command line.
//   node tests/tools/model_report.mjs [--strata FILE] [--kept FOLDER] [--out FILE]
// The held-out novels and the kit's questions lie beside the repository. A few minutes on two idle cores; what was
// measured is kept, so that a second run with the same program only writes.
import { existsSync, statSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { answers, conversations, judgement, temperatures, transcript } from './model/conversations.mjs';
import { fixedQuestions, fixedQuestionsPath } from './model/fixed_questions.mjs';
import { proseSection } from './model/prose_tables.mjs';
import { recallSection } from './model/recall_tables.mjs';
import { Measurements, sha256 } from './quality/measure.mjs';

const { values: options } = parseArgs({
  options: {
    model: { type: 'string', default: 'web/public/models/pocket-chat-5.8m-q8_0.gguf' },
    strata: { type: 'string', default: 'build/native/strata' },
    kept: { type: 'string', default: 'build/quality' },
    out: { type: 'string', default: 'docs/default-model.md' },
  },
});

const texts = ['Conrad_Nostromo_1904', 'Dickens_Expectations_1861', 'Hardy_Madding_1874'].map(
  (name) => `../shared/model/heldout/${name}.txt`,
);
for (const path of [...texts, fixedQuestionsPath]) {
  if (existsSync(path)) continue;
  console.error(`${path} is missing: the model's kit must lie beside the repository`);
  process.exit(1);
}
const report = {
  measurements: new Measurements(options.strata, options.kept),
  model: options.model,
  texts,
  questions: fixedQuestions(),
};

function transcriptsSection() {
  const one = (messages, i, temperature) => `### Conversation ${i + 1}, temperature ${temperature}

\`\`\`text
${transcript(messages, answers(options.strata, options.model, messages, temperature))}
\`\`\`
`;
  const all = conversations.flatMap((messages, i) => temperatures.map((t) => one(messages, i, t)));
  return `## Transcripts

Ten conversations, each at temperature 0 and 0.7, unedited: \`strata chat MODEL --temp T --seed 1 --max-tokens 80\`, one message a line. The
messages were written before any answer was seen. The test of the command line holds every one of them against the program.

${judgement}

${all.join('\n')}`;
}

const megabytes = (statSync(options.model).size / 1e6).toFixed(1);
writeFileSync(
  options.out,
  `# The model that ships: pocket-chat-5.8m

Written by \`node tests/tools/model_report.mjs\`; do not edit. File: \`web/public/models/pocket-chat-5.8m-q8_0.gguf\`, ${megabytes} MB,
SHA-256 \`${sha256(options.model)}\`.

Trained for Strata from nothing, so that the first minute happens offline and every quality number can be checked. It is very small: it
chats in a narrow range, and **remembers what it is told**. It is no assistant. For one, open a larger model.

| | |
| --- | --- |
| architecture | Llama: 6 layers of 256, 4 query heads and 2 KV heads of 64, SwiGLU 768, RMSNorm, RoPE base 10,000, tied embedding; 5.77 million parameters |
| tokenizer | byte-level BPE of 4,096 (pre-tokenizer \`smollm\`), 3.55 bytes a token on novels; ChatML |
| trained length | 2,048 tokens; longer conversations work, see [quality.md](quality.md#past-the-trained-length) |
| memory | 1,536 values a token: 6 KiB in FP32, 3 KiB in FP16 |
| weights | Q8_0 (blocks of 32, 8.5 bits a weight), norms in F32 |
| data | 176 novels in English, author dead by 1955 and published by 1930 (34.5 million tokens, three more held out); synthetic dialogues and recall tasks made by the kit. No downloaded weights, no instruction set |
| tokens seen | 45.4 million: prose 25.8, dialogues 9.1, facts in prose 5.5, key-value lists 2.8, copying 2.4 |
| recipe | 81 minutes on two CPU cores; contexts of 256, 512, 1,024, 2,048; Muon for matrices, Adam for the rest. Restarted five times while the dialogues grew: the kit repeats the recipe, not the bits |
| licence | MIT, as Strata. The prose is in the public domain |

**Limits.** English only. It understands wordings near those of its training; arithmetic is wrong; it knows about 150 facts. Prose drifts
and repeats at temperature 0 (use .6 to .8, and a repetition penalty, for stories; at most .3 and no penalty for recall, which it would punish).
Long values (three rare words) fail first. Nothing was trained beyond 2,048 tokens.

No GPU was to be had for a larger one of the same kind; this is the first model.

${[proseSection(report), recallSection(report), transcriptsSection()].join('\n')}`,
);
console.error(`wrote ${options.out}`);
