// Whether what was told long ago is still found.

import { integer, signed, table } from './markdown.mjs';
import { deleted, presets } from './memories.mjs';

const percent = (mean, error) => `${(100 * mean).toFixed(1)} ± ${(100 * error).toFixed(1)}`;
const difference = ({ diff, diff_se, n_only_exact, n_only_this }) =>
  `${signed(100 * diff, 1)} ± ${(100 * diff_se).toFixed(1)} (${n_only_exact} : ${n_only_this})`;

export const formNames = { raw: 'statements in prose', chat: 'told in a conversation' };
const formsOf = (results) => [...new Set(results.map(({ form }) => form))];
const unique = (results, key) => [...new Set(results.map((result) => result[key]))];

/** One row for each form and memory; `cell` of the result at each age. */
export function recallTable(results, cell, { label = ({ policy }) => policy, skip = () => false } = {}) {
  const ages = unique(results, 'age');
  const rows = formsOf(results).flatMap((form) =>
    unique(results, 'policy')
      .filter((policy) => !skip(policy))
      .map((policy) => {
        const of = results.filter((result) => result.form === form && result.policy === policy);
        return [formNames[form], label(of[0]), ...ages.map((age) => cell(of.find((result) => result.age === age)))];
      }),
  );
  return table(['facts', 'memory', ...ages.map(integer)], `ll${'r'.repeat(ages.length)}`, rows);
}

export const accuracy = (result) => percent(result.accuracy, result.se);

export function recallSection({ measurements, model, filler, questions }) {
  const list = ['exact', ...presets, deleted].join(',');
  const args = ['--filler', filler, '--questions', String(questions), '--kv-list', list];
  const { results } = measurements.run('recall', model, args);
  return `## Recall

\`strata recall MODEL --filler ${filler.split('/').at(-1)} --questions ${questions} --kv-list ${list}\`: facts among confusable ones, asked when
they are so many tokens old. Answered: greedy decoding writes exactly the value. ${questions} questions in each cell, the same for all memories; percent,
with standard errors between contexts.

${recallTable(results, accuracy)}

Less what the exact memory answers, question by question, and (answered by the exact memory only : by this one only):

${recallTable(results, difference, { skip: (policy) => policy === 'exact' })}
`;
}
