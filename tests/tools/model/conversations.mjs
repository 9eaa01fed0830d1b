// What the default model is asked for the transcripts of docs/default-model.md: within what it was trained on, at its
// edges, and beyond. Chosen before the answers were seen, and not changed after.
import { spawnSync } from 'node:child_process';

export const temperatures = ['0', '0.7'];

export const conversations = [
  [
    'hi',
    'my name is Peter',
    'I have a cat named Tom and I live in Hamburg',
    'What is my cat called?',
    'where do i live',
    "what's my name?",
  ],
  ['Hello! Who are you?', 'What can you do?', 'Do you remember things?', 'Are you a person?', 'Goodbye!'],
  [
    'Remember the number 4711.',
    'Tell me a story about a dragon',
    'what was the number?',
    'Tell me another one.',
    'And the number again?',
  ],
  [
    'My name is Clara.',
    'Actually my name is Julia.',
    'What is my name?',
    'How old am I?',
    'I am 34 years old.',
    'How old am I?',
  ],
  [
    'My brother is called Hugo and my sister is called Nora.',
    'Who is Nora?',
    'What is the name of my brother?',
    'My brother lives in Rome.',
    'Where does my brother live?',
  ],
  [
    'What is the capital of France?',
    'What colour is the sky?',
    'How many days are in a week?',
    'how much is 3 + 4?',
    'What is quantum physics?',
  ],
  [
    'Read this: The old miller had three keys. He hid the silver key under the mill stone, and nobody saw it.',
    'What did the miller hide?',
    'How many keys had he?',
    'Thanks',
  ],
  [
    'My favourite colour is green.',
    'My favourite food is plum cake.',
    'Please remember the password lantern river.',
    'What is the password?',
    'What is my favourite food?',
    'What is my favourite colour?',
  ],
  ['I feel sad today.', 'My dog Rex died.', 'Can you say something kind?', 'Thank you.'],
  [
    'Write a poem about the sea.',
    'Explain how a bicycle works.',
    'Schreib mir bitte auf Deutsch.',
    'What is the weather in London?',
    'ok bye',
  ],
];

/** What a reader of the transcripts should be told; written after reading them. */
export const judgement = `Read by us: of the 51 answers at each temperature, 40 (at 0) and 41 (at 0.7) make sense where they stand. It greets, answers what
it was trained on, and repeats names, numbers, words and corrections that it was told in plain statements. What fails: two facts in one
sentence (Hamburg at temperature 0), who is who (Nora), where somebody else lives, an age told after it was asked, every question on a
passage it was given, sums, and everything outside its dialogues (kindness, poems, bicycles, German), where it falls back to novels or "I see".
Stories are well formed and give two characters one name.`;

/** What `strata chat` prints for these messages: an answer and a line break for each. */
export function printed(strata, model, messages, temperature) {
  const args = ['chat', model, '--temp', temperature, '--seed', '1', '--max-tokens', '80'];
  const { status, stdout, stderr } = spawnSync(strata, args, { encoding: 'utf8', input: `${messages.join('\n')}\n` });
  if (status !== 0) throw new Error(`strata ${args.join(' ')} ended with ${status}: ${stderr}`);
  return stdout;
}

/** The answers one by one. They may hold line breaks, so each is what one message more adds. */
export function answers(strata, model, messages, temperature) {
  const until = messages.map((_, i) => printed(strata, model, messages.slice(0, i + 1), temperature));
  return until.map((text, i) => text.slice(i === 0 ? 0 : until[i - 1].length, -1));
}

/** As docs/default-model.md shows a conversation. */
export function transcript(messages, answers) {
  return messages.map((message, i) => `> ${message}\n${answers[i]}`).join('\n');
}
