// Turns an error into what the page says about it: what happened, why, what became of the conversation, and one way on.
import { type ErrorCode, StrataError } from '../../lib';
import { text } from '../strings';

/** `open again`: the same model anew. `included`: the model that is always there. `answer`: ask again. `more memory`: a larger budget. */
export type WayOn =
  | 'open again'
  | 'included'
  | 'choose'
  | 'answer'
  | 'save'
  | 'more memory'
  | 'dismiss'
  | 'without keeping';

export interface Fault {
  code: ErrorCode | 'not_saved' | 'elsewhere';
  title: string;
  cause: string;
  kept: string;
  wayOn: WayOn;
  neededBytes?: number; // of memory, to go on
}

export interface Circumstances {
  doing: 'opening' | 'answering';
  stillOpen?: string | undefined; // name of the model that can go on being used
}

export function explain(error: unknown, { doing, stillOpen }: Circumstances): Fault {
  const known = error instanceof StrataError ? error : new StrataError('internal', String(error));
  const { code, message, neededBytes } = known;
  if (neededBytes !== undefined) return budgetFull(neededBytes);
  return {
    code,
    title: text.fault.titles[code],
    cause: message,
    kept: stillOpen ? text.fault.stillHere(stillOpen) : text.fault.kept,
    wayOn: doing === 'opening' ? wayOnFromOpening(code, stillOpen !== undefined) : wayOnFromAnswering(code),
  };
}

// No failure: memory has come to the end of what it was given, and waits.
function budgetFull(neededBytes: number): Fault {
  const { titles, budgetFull } = text.fault;
  const cause = budgetFull(neededBytes);
  return { code: 'budget_full', title: titles.budget_full, cause, kept: '', wayOn: 'more memory', neededBytes };
}

export function notSaved(error: unknown): Fault {
  const cause = error instanceof Error ? error.message : String(error);
  return { code: 'not_saved', title: text.fault.notSaved, cause, kept: '', wayOn: 'save' };
}

export function openElsewhere(): Fault {
  const { title, cause } = text.fault.elsewhere;
  return { code: 'elsewhere', title, cause, kept: '', wayOn: 'dismiss' };
}

function wayOnFromOpening(code: ErrorCode, anotherIsOpen: boolean): WayOn {
  if (code === 'quota') return 'without keeping';
  if (
    code === 'network' ||
    code === 'hash_mismatch' ||
    code === 'server' ||
    code === 'worker_died' ||
    code === 'internal'
  )
    return 'open again';
  return anotherIsOpen ? 'choose' : 'included';
}

function wayOnFromAnswering(code: ErrorCode): WayOn {
  if (code === 'worker_died' || code === 'out_of_memory' || code === 'not_loaded') return 'open again';
  return code === 'template' ? 'choose' : 'answer';
}
