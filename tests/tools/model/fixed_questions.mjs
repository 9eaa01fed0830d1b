// The recall questions that come with the training kit, in the form that `strata recall --ask` reads.
import { existsSync, readFileSync } from 'node:fs';

export const fixedQuestionsPath = '../shared/model/eval/recall.jsonl';

/** @returns {{form: string, age: number, prompt: string, answer: string}[] | undefined} undefined: the kit is not here */
export function fixedQuestions(path = fixedQuestionsPath) {
  if (!existsSync(path)) return undefined;
  const lines = readFileSync(path, 'utf8').trimEnd().split('\n');
  return lines.map((line) => {
    const { kind, distance, prompt, answer } = JSON.parse(line);
    return { form: kind, age: distance, prompt, answer };
  });
}
