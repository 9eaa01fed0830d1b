// Memory in detail: the figure, how it grew, exactly what is where, and how older memory is to be kept.
import { useSignal, useSignalEffect } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import type { MemoryStats, MemoryTier } from '../../lib';
import { bytes, count } from '../format';
import { chat, toggleDrawer } from '../state/app';
import { settings } from '../state/settings';
import { coloursChanged, narrow } from '../state/ui';
import { text } from '../strings';
import { Sheet } from '../view/sheet';
import { Keeping } from './keeping';
import type { MemoryPlot } from './plot';
import { drawnBits, levelOf, runsOf, sinksOf, tierLabel, tierMark } from './tiers';

export function Drawer() {
  const close = () => toggleDrawer(false);
  const content = (
    <>
      <header>
        <h2 id="memory-title">{text.memory.title}</h2>
        <button type="button" class="text-btn" onClick={close}>
          {text.memory.close}
        </button>
      </header>
      <div class="drawer-body" tabIndex={0} role="region" aria-label={text.memory.details}>
        <Figure />
        <Plot />
        <TierTable />
        <Keeping />
      </div>
    </>
  );
  if (narrow.value) {
    return (
      <Sheet class="drawer sheet" labelledBy="memory-title" onClose={close}>
        {content}
      </Sheet>
    );
  }
  return (
    <aside class="drawer" aria-labelledby="memory-title">
      {content}
    </aside>
  );
}

function Figure() {
  const stats = chat.memory.stats.value;
  if (!stats || stats.positions === 0) return <p class="figure">{text.memory.none}</p>;
  const { positions, bytes: used, bytesFp16, bytesFp32 } = stats;
  const info = chat.model.value?.info;
  return (
    <div class="figure">
      <p>
        <b>{bytes(used)}</b> {text.memory.figure(positions)}{' '}
        {used < bytesFp16
          ? text.memory.saves(bytesFp16, bytesFp32, bytesFp16 / used, bytesFp32 / used)
          : text.memory.costs(bytesFp16, bytesFp32)}
      </p>
      {info && info.windowedLayers > 0 && (
        <p class="note">{text.memory.windowed(info.windowedLayers, info.layers, info.window, stats.windowedBytes)}</p>
      )}
      {info && positions > info.trainedLength && <p class="note">{text.memory.trained(info.trainedLength)}</p>}
    </div>
  );
}

function Plot() {
  const host = useRef<HTMLDivElement>(null);
  const plot = useSignal<MemoryPlot | undefined>(undefined);
  const readout = useSignal('');
  const failed = useSignal(false);
  useEffect(() => {
    let gone = false;
    import('./plot').then(
      ({ MemoryPlot }) => {
        if (gone) return;
        plot.value = new MemoryPlot(host.current!, (words) => {
          readout.value = words;
        });
      },
      () => {
        failed.value = true;
      },
    );
    const observer = new ResizeObserver(() => plot.peek()?.show(chat.memory.samples.peek()));
    observer.observe(host.current!);
    return () => {
      gone = true;
      observer.disconnect();
      plot.peek()?.destroy();
    };
  }, []);
  useSignalEffect(() => {
    void [settings.value.theme, coloursChanged.value];
    plot.value?.forget();
    plot.value?.show(chat.memory.samples.peek());
  });
  useSignalEffect(() => plot.value?.show(chat.memory.samples.value));
  const stats = chat.memory.stats.value;
  return (
    <figure class="plotfig">
      <div
        ref={host}
        class="plot"
        role="img"
        aria-label={text.memory.plotLabel(stats?.bytes ?? 0, stats?.bytesFp16 ?? 0)}
      />
      <figcaption>{failed.value ? text.memory.plotFailed : readout.value || text.memory.plotCaption}</figcaption>
    </figure>
  );
}

/** Strip and plot as text. Newest tier first, as on the strip from below. */
function TierTable() {
  const stats = chat.memory.stats.value;
  const tiers = [...(stats?.tiers ?? [])].reverse();
  const hasSinks = sinksOf(runsOf(stats?.tiers ?? [])) !== undefined;
  const { positions = 0, bytes: used = 0, bytesFp16 = 0, bytesFp32 = 0 }: Partial<MemoryStats> = stats ?? {};
  const { keptBytes = 0, spareBytes = 0 }: Partial<MemoryStats> = stats ?? {};
  return (
    <table class="tiers">
      <caption class="vh">{text.memory.table}</caption>
      <thead>
        <tr>
          <th scope="col">{text.memory.tier}</th>
          <th scope="col">{text.memory.tokens}</th>
          <th scope="col">{text.memory.bits}</th>
          <th scope="col">{text.memory.bytes}</th>
        </tr>
      </thead>
      <tbody>
        {tiers.map((tier) => (
          <tr key={tier.first} data-tier={tier.name}>
            <th scope="row" title={tierLabel(tier)}>
              <i data-level={levelOf(drawnBits(tier))} />
              {hasSinks && tier.first === 0 ? text.tier.sinks : rowName(tier)}
            </th>
            <td>{count(tier.positions)}</td>
            <td>{text.memory.bitPair(tier.keyBits, tier.valueBits)}</td>
            <td>{bytes(tier.bytes)}</td>
          </tr>
        ))}
        <AsideRow label={text.memory.keptForTurn} size={keptBytes} />
        <AsideRow label={text.memory.spare} size={spareBytes} />
      </tbody>
      <tfoot>
        <tr class="kept">
          <th scope="row">{text.memory.kept}</th>
          <td>{count(positions)}</td>
          <td />
          <td>{bytes(used)}</td>
        </tr>
        <PlainRow label={text.memory.plain} positions={positions} bits={16} size={bytesFp16} />
        <PlainRow label={text.memory.plain32} positions={positions} bits={32} size={bytesFp32} />
      </tfoot>
    </table>
  );
}

/** Exact as a word, bits as numbers: there is room for no more. */
const rowName = (tier: MemoryTier) => (drawnBits(tier) === 32 ? tierLabel(tier) : tierMark(tier));

/** Bytes that are in memory for no token of their own. */
function AsideRow({ label, size }: { label: string; size: number }) {
  if (size === 0) return null;
  return (
    <tr class="aside">
      <th scope="row" colSpan={3}>
        <i />
        {label}
      </th>
      <td>{bytes(size)}</td>
    </tr>
  );
}

function PlainRow({ label, positions, bits, size }: { label: string; positions: number; bits: number; size: number }) {
  return (
    <tr class="plain" data-plain={bits}>
      <th scope="row">
        <i />
        {label}
      </th>
      <td>{count(positions)}</td>
      <td>{bits}</td>
      <td>{bytes(size)}</td>
    </tr>
  );
}
