import { expect, test } from 'vitest';
import { defaults, parseSettings } from '../../web/app/state/settings';

test('nothing saved gives the defaults', () => {
  expect(parseSettings(undefined)).toEqual(defaults);
  expect(parseSettings({})).toEqual(defaults);
  expect(parseSettings('nonsense')).toEqual(defaults);
});

test('what was chosen comes back', () => {
  const chosen = {
    ...defaults,
    theme: 'dark' as const,
    systemPrompt: 'Be brief.',
    sampling: { ...defaults.sampling, temperature: 0, seed: 7 },
    memory: { preset: 'balanced' as const, budgetBytes: 5_000_000 },
    model: { kind: 'url' as const, url: 'https://example.org/m.gguf' },
  };
  expect(parseSettings(JSON.parse(JSON.stringify(chosen)))).toEqual(chosen);
});

test('each value that makes no sense falls back alone', () => {
  const parsed = parseSettings({
    theme: 'pink',
    sampling: { temperature: -1, topP: 'much', maxTokens: 100, seed: 1.5 },
    memory: { preset: 'sharp', budgetBytes: 4_000_000 },
    model: { kind: 'url' },
  });
  expect(parsed.theme).toBe(defaults.theme);
  expect(parsed.sampling).toEqual({ ...defaults.sampling, maxTokens: 100 });
  expect(parsed.memory).toEqual({ preset: 'quality', budgetBytes: 4_000_000 });
  expect(parsed.model).toEqual({ kind: 'included' });
});

test('the memory of earlier versions becomes the default', () => {
  const memory = { keyType: 'q8_0', valueType: 'q4_0', keyWindow: 64, valueWindow: 64 };
  expect(parseSettings({ theme: 'dark', memory })).toEqual({ ...defaults, theme: 'dark' });
  expect(defaults.memory).toEqual({ preset: 'quality', budgetBytes: 0 });
});

test.each([-1, 1.5, Number.NaN, 1e300, '4000000', null])('a budget of %s is none', (budgetBytes) => {
  expect(parseSettings({ memory: { preset: 'max', budgetBytes } }).memory).toEqual({ preset: 'max', budgetBytes: 0 });
});
