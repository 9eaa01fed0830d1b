// What stands where the answer will be: reading, waiting for the model, a question nobody answered, or an error.

import { cellTokens } from '../memory/tiers';
import { chat, openIncluded, openModels } from '../state/app';
import type { Activity } from '../state/chat';
import type { Fault, WayOn } from '../state/fault';
import { text } from '../strings';
import { OpeningProgress } from './opening';

export function Doing() {
  const activity = chat.activity.value;
  if (activity.kind === 'reading') {
    return (
      <Place busy>
        <Reading {...activity} />
      </Place>
    );
  }
  if (activity.kind === 'waiting') {
    return (
      <Place busy>{chat.opening.value ? <OpeningProgress /> : <p class="note">{text.chat.waitingForModel}</p>}</Place>
    );
  }
  if (activity.kind === 'answering') return null;
  if (chat.fault.value) {
    return (
      <Place>
        <FaultCard fault={chat.fault.value} />
      </Place>
    );
  }
  if (chat.conversation.value.turns.at(-1)?.role !== 'user' || chat.opening.value) return null;
  return (
    <Place>
      <p class="note">
        {text.chat.unanswered}{' '}
        <button type="button" class="link" onClick={() => void chat.answer()}>
          {text.chat.answerNow}
        </button>
      </p>
    </Place>
  );
}

function Place({ busy = false, children }: { busy?: boolean; children: preact.ComponentChildren }) {
  return (
    <li class="turn ans" aria-busy={busy}>
      <div class="side" />
      <div>{children}</div>
    </li>
  );
}

const mostCells = 31;
const guessAfterMs = 500;

function Reading({ again, done, total, since }: Extract<Activity, { kind: 'reading' }>) {
  const cells = Math.max(1, Math.min(mostCells, Math.ceil(total / cellTokens)));
  const filled = (done / Math.max(1, total)) * cells;
  const words = (again ? text.chat.rereading : text.chat.reading)(done, total);
  const elapsed = performance.now() - since;
  const left = done > 0 && elapsed > guessAfterMs ? text.chat.left((elapsed / done) * (total - done)) : '';
  return (
    <div class="reading">
      <div
        class="cells"
        role="progressbar"
        aria-label={text.chat.readingLabel}
        aria-valuemin={0}
        aria-valuemax={total}
        aria-valuenow={done}
        aria-valuetext={left ? `${words}, ${left}` : words}
      >
        {Array.from({ length: cells }, (_, i) => (
          <i key={i} style={{ '--p': `${Math.round(Math.max(0, Math.min(1, filled - i)) * 100)}%` }} />
        ))}
      </div>
      <p>
        <b>{words}</b>
        <span>{left}</span>
      </p>
    </div>
  );
}

export function FaultCard({ fault }: { fault: Fault }) {
  const { label, act } = waysOn[fault.wayOn](fault);
  const calm = fault.wayOn === 'more memory' || fault.wayOn === 'dismiss'; // nothing has failed
  return (
    <div class={calm ? 'fault calm' : 'fault'} role={calm ? 'status' : 'alert'}>
      <h3>{fault.title}</h3>
      <p>
        {fault.cause} {fault.kept}
      </p>
      <button type="button" class="btn primary" onClick={act}>
        {label}
      </button>
    </div>
  );
}

const waysOn: Record<WayOn, (fault: Fault) => { label: string; act: () => void }> = {
  'open again': ({ code }) => ({
    label: code === 'worker_died' || code === 'out_of_memory' ? text.fault.restart : text.fault.tryAgain,
    act: () => void chat.openAgain(),
  }),
  included: () => ({ label: text.fault.useIncluded(text.model.included), act: () => void openIncluded() }),
  choose: () => ({ label: text.fault.anotherFile, act: openModels }),
  answer: () => ({ label: text.fault.tryAgain, act: () => void chat.answer() }),
  'more memory': ({ neededBytes = 0 }) => ({
    label: text.fault.raise(chat.raisedBudget(neededBytes)),
    act: () => void chat.goOnWithMore(neededBytes),
  }),
  'without keeping': () => ({ label: text.fault.withoutKeeping, act: () => void chat.openAgain(false) }),
  dismiss: () => ({
    label: text.fault.understood,
    act: () => {
      chat.fault.value = undefined;
    },
  }),
  save: () => ({ label: text.fault.saveAgain, act: () => void chat.saveAll() }),
};
