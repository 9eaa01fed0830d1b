// The memory strip: a picture of the whole conversation as it is kept, beside the words. It is also the way to go to any
// part of it, by pointer and by keyboard.
import { computed, signal, useSignal, useSignalEffect } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { chat, toggleDrawer } from '../state/app';
import { settings } from '../state/settings';
import { coloursChanged, turnRequest, visibleTurns } from '../state/ui';
import { text } from '../strings';
import { layoutStrip, pixelOf, type Slice, type StripLayout, sliceAtPixel, stripTicks } from './strip_geometry';
import {
  describeStretch,
  exchangeOfTurn,
  exchangeStarts,
  layersThatSee,
  rangeOfTurn,
  turnOfToken,
} from './strip_model';
import { fitCanvas, paintStrip, stripColours } from './strip_paint';
import { cellBits, runsOf, sinksOf } from './tiers';

const unit = 8; // CSS pixels of the longest slice
const step = 6; // CSS pixels for each doubling of bits
const leastFrame = 24; // CSS pixels

/** Tokens that wait to be read. */
export const pendingTokens = computed(() => {
  const activity = chat.activity.value;
  return activity.kind === 'reading' ? activity.total - activity.done : 0;
});

/** Draws a strip again whenever memory, size or colours change: at most once a frame. */
export function useStrip(flat: boolean, unit: number, step: number) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const layout = useSignal<StripLayout | undefined>(undefined);
  const size = useSignal(0);
  useEffect(() => {
    const observer = new ResizeObserver(() => {
      size.value += 1;
    });
    observer.observe(canvas.current!);
    return () => observer.disconnect();
  }, []);
  useSignalEffect(() => {
    const stats = chat.memory.stats.value;
    const pending = pendingTokens.value;
    void [size.value, settings.value.theme, coloursChanged.value];
    const frame = requestAnimationFrame(() => {
      const element = canvas.current;
      if (!element) return;
      const { width, height, pixel } = fitCanvas(element);
      const positions = stats?.positions ?? 0;
      const runs = runsOf(stats?.tiers ?? []);
      const [cells, sinks] = [cellBits(runs), sinksOf(runs)];
      layout.value = layoutStrip({ length: flat ? width : height, pixel, cells, positions, sinks, pending, unit });
      paintStrip(element, layout.value, { flat, step }, stripColours());
    });
    return () => cancelAnimationFrame(frame);
  });
  return { canvas, layout };
}

const cssPixels = (device: number) => device / (devicePixelRatio || 1);

/** The stretch of memory that is in view, in CSS pixels from the top. */
function frameOf(layout: StripLayout): { top: number; height: number } {
  const talk = chat.conversation.value;
  const ranges = chat.memory.ranges.value;
  const positions = chat.memory.stats.value?.positions ?? 0;
  const [first, last] = visibleTurns.value;
  const length = cssPixels(layout.length);
  const from = cssPixels(pixelOf(layout, rangeOfTurn(talk, ranges, positions, first).first));
  const lastRange = rangeOfTurn(talk, ranges, positions, last);
  const to = lastRange.end >= positions ? length : cssPixels(pixelOf(layout, lastRange.end));
  const height = Math.max(leastFrame, to - from);
  return { top: Math.max(0, Math.min(from, length - height)), height: Math.min(height, length) };
}

const pointed = signal<Slice | undefined>(undefined);

function goTo(token: number, focus: boolean): void {
  turnRequest.value = { turn: turnOfToken(chat.conversation.value, chat.memory.ranges.value, token), focus };
}

export function Strip() {
  const { canvas, layout } = useStrip(false, unit, step);
  const slices = layout.value?.slices ?? [];
  const stats = chat.memory.stats.value;

  const sliceUnder = (event: PointerEvent) => {
    const offset = event.clientY - canvas.current!.getBoundingClientRect().top;
    return layout.value && sliceAtPixel(layout.value, offset * (devicePixelRatio || 1));
  };
  const onPointer = (event: PointerEvent) => {
    pointed.value = sliceUnder(event);
    if (event.type === 'pointerdown') canvas.current!.parentElement!.setPointerCapture(event.pointerId);
    if (pointed.value && !pointed.value.pending && event.buttons & 1) goTo(pointed.value.first, false);
  };
  const onKey = (event: KeyboardEvent) => {
    const at = pointed.value ? slices.findIndex(({ first }) => first === pointed.value!.first) : slices.length - 1;
    const next = {
      ArrowUp: at - 1,
      ArrowDown: at + 1,
      PageUp: at - 16,
      PageDown: at + 16,
      Home: 0,
      End: slices.length - 1,
    }[event.key];
    if (next !== undefined) pointed.value = slices[Math.max(0, Math.min(slices.length - 1, next))];
    else if (event.key === 'Enter' && pointed.value) goTo(pointed.value.first, true);
    else if (event.key.toLowerCase() === 'm' && !event.ctrlKey && !event.metaKey) toggleDrawer();
    else return;
    event.preventDefault();
  };

  const exchanges = stats ? exchangeStarts(chat.conversation.value, chat.memory.ranges.value).length : 0;
  return (
    <aside class="stripcol" aria-label={text.strip.label}>
      <div
        class="stripbox"
        tabIndex={0}
        role="slider"
        aria-orientation="vertical"
        aria-label={text.strip.slider}
        aria-valuemin={Math.min(1, exchanges)}
        aria-valuemax={exchanges}
        aria-valuenow={Math.min(exchanges, valueNow())}
        aria-valuetext={valueText()}
        onPointerDown={onPointer}
        onPointerMove={onPointer}
        onPointerLeave={() => {
          pointed.value = undefined;
        }}
        onBlur={() => {
          pointed.value = undefined;
        }}
        onKeyDown={onKey}
      >
        {layout.value && <Ticks layout={layout.value} />}
        <canvas ref={canvas} class="strip" aria-hidden="true" />
        {layout.value && slices.length > 0 && <Frame layout={layout.value} />}
        {layout.value && <Tip layout={layout.value} />}
      </div>
      <button type="button" class="strip-open" aria-keyshortcuts="Control+Shift+M" onClick={() => toggleDrawer()}>
        {text.strip.open}
      </button>
    </aside>
  );
}

function valueNow(): number {
  const talk = chat.conversation.value;
  const slice = pointed.value;
  return exchangeOfTurn(talk, slice ? turnOfToken(talk, chat.memory.ranges.value, slice.first) : visibleTurns.value[1]);
}

function valueText(): string {
  const stats = chat.memory.stats.value;
  if (!stats || stats.positions === 0) return text.strip.empty;
  const talk = chat.conversation.value;
  const ranges = chat.memory.ranges.value;
  const slice = pointed.value;
  if (slice?.pending) return text.strip.waiting;
  const [from, to] = visibleTurns.value;
  const first = slice?.first ?? rangeOfTurn(talk, ranges, stats.positions, from).first;
  const end = slice?.end ?? rangeOfTurn(talk, ranges, stats.positions, to).end;
  const { tier, turn, last, bytes } = describeStretch(talk, stats, ranges, first, Math.max(end, first + 1));
  return [text.strip.value(tier, turn, first, last, bytes), ...seenBy(stats.positions, last + 1)].join(', ');
}

/** Words for tokens that some layers no longer see; otherwise none. */
function seenBy(positions: number, end: number): string[] {
  const info = chat.model.value?.info;
  if (!info) return [];
  const layers = layersThatSee(info, positions, end);
  return layers < info.layers ? [text.strip.seenBy(layers, info.layers)] : [];
}

function Frame({ layout }: { layout: StripLayout }) {
  const { top, height } = frameOf(layout);
  return <div class="frame" aria-hidden="true" style={{ top: `${top - 3}px`, height: `${height + 5}px` }} />;
}

function Ticks({ layout }: { layout: StripLayout }) {
  const starts = exchangeStarts(chat.conversation.value, chat.memory.ranges.value);
  const at = (token: number) => cssPixels(pixelOf(layout, token));
  const ticks = stripTicks(starts, at, cssPixels(layout.length), text.strip.now);
  const info = chat.model.value?.info;
  const trained = info?.trainedLength ?? Number.POSITIVE_INFINITY;
  const positions = chat.memory.stats.value?.positions ?? 0;
  const unseen = info && info.windowedLayers > 0 ? positions - info.window : 0;
  return (
    <div class="ticks" aria-hidden="true">
      {ticks.map(({ at: top, label }) => (
        <span key={label} style={{ top: `${Math.round(top)}px` }}>
          {label}
        </span>
      ))}
      {unseen > 0 && <i class="windowed" style={{ top: `${Math.round(at(unseen))}px` }} />}
      {positions > trained && <i class="trained" style={{ top: `${Math.round(at(trained))}px` }} />}
    </div>
  );
}

function Tip({ layout }: { layout: StripLayout }) {
  const slice = pointed.value;
  const stats = chat.memory.stats.value;
  if (!slice || !stats) return null;
  const middle = cssPixels(slice.at + slice.length / 2);
  const top = Math.max(28, Math.min(middle, cssPixels(layout.length) - 28));
  const style = { top: `${top}px`, '--dy': `${middle - top}px` };
  if (slice.pending) {
    return (
      <div class="tip" style={style}>
        <b>{text.strip.waiting}</b>
        <br />
        {text.strip.waitingTokens(slice.first, slice.end - 1)}
      </div>
    );
  }
  const { tier, turn, first, last, bytes } = describeStretch(
    chat.conversation.value,
    stats,
    chat.memory.ranges.value,
    slice.first,
    slice.end,
  );
  return (
    <div class="tip" style={style}>
      <b>{tier}</b> {text.strip.turn(turn)}
      <br />
      {text.strip.tokens(first, last, bytes)}
      {seenBy(stats.positions, last + 1).map((words) => (
        <div key={words}>{words}</div>
      ))}
    </div>
  );
}

/** On a phone the strip lies on the composer, and opens the drawer. */
export function MemoryBar() {
  const { canvas } = useStrip(true, 5, 2);
  const stats = chat.memory.stats.value;
  return (
    <button
      type="button"
      class="bar-btn"
      aria-label={text.strip.bar(stats?.bytes ?? 0, stats?.positions ?? 0)}
      aria-haspopup="dialog"
      onClick={() => toggleDrawer(true)}
    >
      <canvas ref={canvas} class="bar" aria-hidden="true" />
    </button>
  );
}
