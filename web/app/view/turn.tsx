// One turn: what was said, or what was answered, with what can be done about it.
import { type ReadonlySignal, useComputed, useSignal } from '@preact/signals';
import { rangeOfTurn } from '../memory/strip_model';
import { drawnBits, levelOf, mainTier, tierMark } from '../memory/tiers';
import { chat } from '../state/app';
import type { AnswerEnd, Turn } from '../state/conversation';
import { editing, focusComposer } from '../state/ui';
import { text } from '../strings';
import { AnswerText } from './answer_text';
import { copyText } from './copy';
import { pure } from './pure';

interface TurnProps {
  turn: Turn;
  index: number;
  exchange: number; // as people count: a question and its answer bear the same number
  last: boolean; // of its kind: only the last message can be edited, only the last answer redone
}

export const TurnItem = pure(({ turn, ...rest }: TurnProps) =>
  turn.role === 'user' ? <Said turn={turn} {...rest} /> : <Answer turn={turn} {...rest} />,
);

function Said({ turn, index, exchange, last }: TurnProps) {
  const edit = () => {
    editing.value = { turn: index, text: turn.text };
    focusComposer();
  };
  return (
    <li class={last ? 'turn you last' : 'turn you'} tabIndex={-1}>
      <h2 class="vh">{text.chat.you(exchange)}</h2>
      <div class="side">
        <span class="n">{exchange}</span>
      </div>
      <div class="said-row">
        <div class="acts" role="group" aria-label={text.chat.actions}>
          {last && (
            <button type="button" onClick={edit}>
              {text.chat.edit}
            </button>
          )}
          <CopyButton words={turn.text} />
        </div>
        <div class="said" dir="auto">
          {turn.text}
        </div>
      </div>
    </li>
  );
}

function Answer({ turn, index, exchange, last }: TurnProps) {
  const live = turn.end === undefined;
  return (
    <li class={last ? 'turn ans last' : 'turn ans'} tabIndex={-1} aria-busy={live}>
      <h2 class="vh">{text.chat.answer(exchange)}</h2>
      <div class="side">
        <Fidelity index={index} />
      </div>
      <div dir="auto">
        {live ? <LiveReasoning /> : turn.reasoning?.trim() && <Reasoning words={turn.reasoning.trim()} />}
        <AnswerText words={turn.text} live={live} />
        {turn.end && turn.text === '' && !turn.reasoning && <p class="note">{text.chat.silent}</p>}
      </div>
      {turn.end && (
        <div class="acts" role="group" aria-label={text.chat.actions}>
          <CopyButton words={turn.text} />
          {last && turn.end.reason !== 'end_of_turn' && turn.end.reason !== 'stop_text' && (
            <button type="button" onClick={() => void chat.continueAnswer()}>
              {text.chat.goOn}
            </button>
          )}
          {last && (
            <button type="button" onClick={() => void chat.answer()}>
              {text.chat.redo}
            </button>
          )}
          <p>{outcome(turn.end)}</p>
        </div>
      )}
    </li>
  );
}

/** What the model thought: folded, above its answer. */
function Reasoning({ words }: { words: string | ReadonlySignal<string> }) {
  return (
    <details class="reasoning">
      <summary>{typeof words === 'string' ? text.chat.thought : text.chat.thinking}</summary>
      <div>{words}</div>
    </details>
  );
}

function LiveReasoning() {
  const begun = useComputed(() => chat.liveReasoning.value.trim() !== '');
  const words = useComputed(() => chat.liveReasoning.value.trimStart());
  return begun.value ? <Reasoning words={words} /> : null;
}

function outcome({ reason, firstTokenMs, tokensPerSecond }: AnswerEnd): string {
  if (reason === 'interrupted') return text.chat.interrupted;
  if (reason === 'budget_full') return text.chat.budgetFull;
  const speed = text.chat.speed(firstTokenMs, tokensPerSecond);
  if (reason === 'aborted') return `${text.chat.stopped} · ${speed}`;
  return reason === 'max_tokens' ? `${text.chat.atLimit} · ${speed}` : speed;
}

/** How well an answer is remembered now: in the margin, as on the strip. */
function Fidelity({ index }: { index: number }) {
  const tier = useComputed(() => {
    const stats = chat.memory.stats.value;
    if (!stats) return undefined;
    const { first, end } = rangeOfTurn(chat.conversation.value, chat.memory.ranges.value, stats.positions, index);
    const main = mainTier(stats.tiers, first, end);
    return main && `${levelOf(drawnBits(main))} ${tierMark(main)}`; // a string, so that only changes are drawn
  });
  if (!tier.value) return null;
  const [level, ...mark] = tier.value.split(' ');
  return (
    <span class="tier">
      <i data-level={level} />
      {mark.join(' ')}
    </span>
  );
}

function CopyButton({ words }: { words: string }) {
  const label = useSignal(text.chat.copy);
  const copy = async () => {
    label.value = (await copyText(words)) ? text.chat.copied : text.chat.copyFailed;
    setTimeout(() => {
      label.value = text.chat.copy;
    }, 1600);
  };
  return (
    <button type="button" onClick={copy}>
      {label}
    </button>
  );
}
