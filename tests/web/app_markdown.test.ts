import { describe, expect, test } from 'vitest';
import { splitBlocks } from '../../web/app/markdown/blocks';

const source = '# Title\n\nSome words.\n\n- one\n- two\n\n```py\na = 1\n\nb = 2\n```\n\nThe end.';

describe('blocks of markdown', () => {
  test('joined, they are the text', () => {
    expect(splitBlocks(source).join('')).toBe(source);
    expect(splitBlocks('').join('')).toBe('');
  });

  test('paragraphs, lists and code stay whole', () => {
    expect(splitBlocks(source).map((block) => block.trim())).toEqual([
      '# Title',
      'Some words.',
      '- one\n- two',
      '```py\na = 1\n\nb = 2\n```',
      'The end.',
    ]);
  });

  test('text that grows, each block kept once another has begun, gives the blocks of the whole', () => {
    const kept: string[] = [];
    for (let length = 1; length <= source.length; ++length) {
      const rest = source.slice(kept.join('').length, length);
      kept.push(...splitBlocks(rest).slice(0, -1));
    }
    const last = source.slice(kept.join('').length);
    expect([...kept, last]).toEqual(splitBlocks(source));
  });
});
