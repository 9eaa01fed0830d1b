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
    memory: { keyType: 'turbo_kv_4b' as const, valueType: 'fp16' as const, keyWindow: 256, valueWindow: 0 },
    model: { kind: 'url' as const, url: 'https://example.org/m.gguf' },
  };
  expect(parseSettings(JSON.parse(JSON.stringify(chosen)))).toEqual(chosen);
});

test('each value that makes no sense falls back alone', () => {
  const parsed = parseSettings({
    theme: 'pink',
    sampling: { temperature: -1, topP: 'much', maxTokens: 100, seed: 1.5 },
    memory: { keyType: 'q9', valueType: 'turbo_kv_4b', keyWindow: 3, valueWindow: 64 },
    model: { kind: 'url' },
  });
  expect(parsed.theme).toBe(defaults.theme);
  expect(parsed.sampling).toEqual({ ...defaults.sampling, maxTokens: 100 });
  expect(parsed.memory).toEqual({ ...defaults.memory, valueWindow: 64 }); // turbo_kv_4b is for keys
  expect(parsed.model).toEqual({ kind: 'included' });
});
