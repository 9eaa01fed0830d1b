// How older memory is kept: how precisely, and in how many bytes. Both take effect while one moves them.
import { useSignal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import type { GuardReport, MemoryStats, ModelInfo } from '../../lib';
import { bytes } from '../format';
import { chat } from '../state/app';
import { presets, settings } from '../state/settings';
import { text } from '../strings';
import { budgetAt, bytesPerToken, noLimit, presetBits, stepOf, tokensWithin } from './budget';
import { drawnBits } from './tiers';

const settleMs = 150; // without movement, before memory is packed anew

export function Keeping() {
  const info = chat.model.value?.info;
  const stats = chat.memory.stats.value;
  return (
    <>
      <Presets info={info} />
      {info && stats && stats.leastBudgetBytes > 0 && <Budget info={info} stats={stats} />}
      {stats && <Sharpen stats={stats} />}
    </>
  );
}

function Presets({ info }: { info: ModelInfo | undefined }) {
  const { memory } = settings.value;
  const size = (preset: (typeof presets)[number]) => (info ? bytesPerToken(info, preset) : undefined);
  return (
    <fieldset class="presets">
      <legend>{text.memory.preset}</legend>
      <div class="seg">
        {presets.map((preset) => (
          <label key={preset}>
            <input
              type="radio"
              name="preset"
              checked={memory.preset === preset}
              aria-description={info && text.memory.perToken(size(preset)!)}
              onChange={() => void chat.setMemory({ ...memory, preset })}
            />
            <span>
              {text.memory.presets[preset]}
              {info && <small aria-hidden="true">{bytes(size(preset)!)}</small>}
            </span>
          </label>
        ))}
      </div>
      {info && <p class="note">{text.memory.presetMeaning(memory.preset, size(memory.preset)!, size('exact')!)}</p>}
      <Guard />
    </fieldset>
  );
}

/** Whether the model bears the preset: found out once, in idle time. */
function Guard() {
  const { preset } = settings.value.memory;
  const report = chat.guard.report.value;
  const { guard } = text.memory;
  if (!report || report.preset !== preset)
    return chat.guard.checking.value ? <p class="note">{guard.checking}</p> : null;
  return <p class="note">{guardWords(report)}</p>;
}

function guardWords({ outcome, preset, guardedLayers }: GuardReport): string {
  const { guard } = text.memory;
  if (outcome === 'too_slow') return guard.tooSlow;
  if (outcome === 'unsearched') return guard.unsearched(preset);
  return guardedLayers.length === 0 ? guard.holds(preset) : guard.guarded(guardedLayers, preset);
}

function Budget({ info, stats }: { info: ModelInfo; stats: MemoryStats }) {
  const moved = useSignal<number | undefined>(undefined); // the step under the finger, until memory has followed
  const timer = useRef(0);
  useEffect(() => () => clearTimeout(timer.current), []);
  const least = stats.leastBudgetBytes;
  const { preset } = settings.value.memory;
  const step = moved.value ?? stepOf(info, least, stats.budgetBytes);
  const budgetBytes = moved.value === undefined ? stats.budgetBytes : budgetAt(info, least, moved.value);
  const room = tokensWithin(info, least, { preset, budgetBytes });

  const onInput = ({ currentTarget }: { currentTarget: HTMLInputElement }) => {
    moved.value = currentTarget.valueAsNumber;
    clearTimeout(timer.current);
    timer.current = window.setTimeout(async () => {
      const wanted = moved.peek()!;
      await chat.setMemory({ ...settings.peek().memory, budgetBytes: budgetAt(info, least, wanted) });
      if (moved.peek() === wanted) moved.value = undefined;
    }, settleMs);
  };
  const needed = chat.neededBytes.value;
  return (
    <div class="budget">
      <label for="budget">{text.memory.budget}</label>
      <output for="budget">{budgetBytes === 0 ? text.memory.noLimit : bytes(budgetBytes)}</output>
      <input
        id="budget"
        type="range"
        min={0}
        max={noLimit}
        value={step}
        aria-valuetext={budgetBytes === 0 ? text.memory.noLimit : text.memory.budgetValue(budgetBytes, room.all)}
        aria-describedby="budget-room"
        onInput={onInput}
      />
      <p id="budget-room" class="note">
        {budgetBytes === 0 ? text.memory.roomWithoutLimit : text.memory.room(room.sharp, room.all)} {text.memory.oneWay}
      </p>
      {needed !== undefined && (
        <p class="note" role="status">
          {text.memory.needed(needed)}
        </p>
      )}
    </div>
  );
}

/** Memory that has become coarser stays so until it is read again. Offered where that would help. */
function Sharpen({ stats }: { stats: MemoryStats }) {
  const { preset } = settings.value.memory;
  const info = chat.model.value?.info;
  const coarser = stats.tiers.some((tier) => drawnBits(tier) < presetBits[preset]) || stats.thawedPositions > 0;
  if (!info || !coarser || chat.activity.value.kind !== 'idle') return null;
  const { budgetBytes, leastBudgetBytes, positions } = stats;
  const fits = budgetBytes === 0 || tokensWithin(info, leastBudgetBytes, { preset, budgetBytes }).sharp >= positions;
  if (!fits) return null;
  return (
    <p class="note sharpen">
      {text.memory.coarser}{' '}
      <button type="button" class="link" onClick={() => void chat.sharpen()}>
        {text.memory.sharpen}
      </button>
    </p>
  );
}
