// A snapshot may come from anywhere: an older version, a file, somebody else. Its memory is checked by the engine, byte by
// byte; its turns are checked here.
import type { Turn } from './conversation';
import { type Message, type Snapshot, StrataError } from './types';

const roles: readonly unknown[] = ['system', 'user', 'assistant'];

/** A copy that is what its type says, in which turns lie one after the other. */
export function checkSnapshot(snapshot: Snapshot): Snapshot {
  const { memory, turns } = fields(snapshot);
  if (!(memory instanceof Uint8Array)) throw damaged('its memory is not a list of bytes');
  if (!Array.isArray(turns)) throw damaged('it has no list of turns');
  let last = 0;
  const checked = turns.map((turn: unknown): Turn => {
    const { text, end, clean, message } = fields(turn);
    const whole = typeof text === 'string' && typeof clean === 'boolean' && isMessage(message);
    if (!whole || !isPosition(end) || end < last) throw damaged('one of its turns makes no sense');
    last = end;
    const { role, content, reasoning } = message;
    return { message: { role, content, ...(reasoning !== undefined && { reasoning }) }, text, end, clean };
  });
  return { memory, turns: checked };
}

function isMessage(value: unknown): value is Message {
  const { role, content, reasoning } = fields(value);
  const isText = typeof content === 'string' && (reasoning === undefined || typeof reasoning === 'string');
  return roles.includes(role) && isText;
}

const isPosition = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

const fields = (value: unknown) =>
  (typeof value === 'object' && value !== null ? value : {}) as Record<string, unknown>;

const damaged = (what: string) =>
  new StrataError('corrupt_file', `The snapshot is damaged: ${what}. The conversation in memory is untouched.`);
