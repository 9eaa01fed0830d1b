// Bytes per tier as the conversation grew, with the lines that plain FP16 and FP32 would draw. Loaded when the drawer opens.
import uPlot from 'uplot';
import { bytes, count } from '../format';
import { text } from '../strings';
import { aside, plottedTiers, type Sample } from './samples';
import { colourOf, levelOf } from './tiers';

const height = 176;

const digitWidth = 7; // CSS pixels, about

/** Whether the label of a tick lies inside the plot: one at its right edge would be cut. */
function fits(plot: uPlot, tick: number): boolean {
  const right = plot.valToPos(tick, 'x') + (count(tick).length * digitWidth) / 2;
  return right <= plot.bbox.width / devicePixelRatio;
}

export class MemoryPlot {
  #host: HTMLElement;
  #onRead: (words: string) => void;
  #plot: uPlot | undefined;
  #made = ''; // the tiers and the width that the plot was made for
  #samples: Sample[] = [];

  constructor(host: HTMLElement, onRead: (words: string) => void) {
    this.#host = host;
    this.#onRead = onRead;
  }

  show(samples: Sample[]): void {
    this.#samples = samples;
    const tiers = plottedTiers(samples);
    const width = this.#host.clientWidth;
    const wanted = `${width} ${tiers.map(({ label }) => label).join()}`;
    if (wanted !== this.#made) {
      this.#plot?.destroy();
      this.#plot = new uPlot(this.#options(tiers, width), [[]], this.#host);
      this.#made = wanted;
    }
    this.#plot!.setData(
      plotData(
        samples,
        tiers.map(({ label }) => label),
      ),
    );
  }

  /** Draws from scratch at the next show(): colours have changed. */
  forget(): void {
    this.#made = '';
  }

  destroy(): void {
    this.#plot?.destroy();
  }

  #options(tiers: { label: string; bits: number }[], width: number): uPlot.Options {
    const style = getComputedStyle(this.#host);
    const token = (name: string) => style.getPropertyValue(name).trim();
    const font = `11px ${token('--font-ui')}`;
    // The highest stack is drawn first, and what lies below covers it.
    const areas = [...tiers].reverse().map(({ label, bits }): uPlot.Series => {
      const colour = token(bits === aside ? '--line' : colourOf(levelOf(bits)));
      return { label, fill: colour, stroke: token('--surface'), width: 1, points: { show: false } };
    });
    // The ground on which the dashes are drawn (#drawPlain), so that they can be told from any area below.
    const plain: uPlot.Series = {
      label: text.memory.plain,
      stroke: token('--surface'),
      width: 4,
      points: { show: false },
    };
    const axis = { font, stroke: token('--muted'), ticks: { show: false } };
    return {
      width,
      height,
      padding: [18, 0, 0, 0],
      legend: { show: false },
      cursor: { y: false, drag: { x: false, y: false }, points: { show: false } },
      scales: { x: { time: false }, y: { range: (_, __, top) => [0, Math.max(top, 1) * 1.02] } },
      series: [{}, ...areas, plain],
      axes: [
        {
          ...axis,
          size: 20,
          gap: 4,
          grid: { show: false },
          values: (plot, ticks) => ticks.map((tick) => (fits(plot, tick) ? count(tick) : '')),
          space: 64,
        },
        {
          ...axis,
          size: 52,
          gap: 4,
          grid: { stroke: token('--line'), width: 1 },
          values: (_, ticks) => ticks.map((tick) => (tick === 0 ? '' : bytes(tick))),
          space: 40,
        },
      ],
      hooks: { setCursor: [(plot) => this.#read(plot)], draw: [(plot) => this.#label(plot, token)] },
    };
  }

  #read({ cursor: { idx } }: uPlot): void {
    const sample = this.#samples[(idx ?? 0) - 1]; // the first point is the empty conversation
    this.#onRead(sample ? text.memory.plotReadout(sample.positions, sample.bytes, sample.bytesFp16) : '');
  }

  /** The dashed line of plain FP16, and names at the ends of what is compared, in place of a legend. */
  #label(plot: uPlot, token: (name: string) => string): void {
    const last = this.#samples.at(-1);
    if (!last) return;
    const ratio = devicePixelRatio || 1;
    const { ctx, bbox } = plot;
    const right = bbox.left + bbox.width;
    const plainEnd = plot.valToPos(last.bytesFp16, 'y', true);
    const ownEnd = plot.valToPos(last.bytes, 'y', true);
    ctx.save();
    this.#drawPlain(plot, plainEnd, token('--text'));
    ctx.font = `600 ${12 * ratio}px ${token('--font-ui')}`;
    ctx.textAlign = 'right';
    ctx.textBaseline = 'bottom';
    ctx.fillStyle = token('--text');
    ctx.fillText(`${text.memory.thisChat} ${bytes(last.bytes)}`, right, ownEnd - 4 * ratio);
    // Below the top of the areas it would be written on them; the table names the dashes too.
    if (ownEnd - plainEnd > 22 * ratio) {
      ctx.fillText(`${text.memory.plain} ${bytes(last.bytesFp16)}`, right, plainEnd - 4 * ratio);
    }
    ctx.restore();
  }

  /** Plain FP16 takes the same for each token: a straight line. */
  #drawPlain({ ctx, bbox }: uPlot, end: number, colour: string): void {
    const ratio = devicePixelRatio || 1;
    ctx.strokeStyle = colour;
    ctx.lineWidth = 1.5 * ratio;
    ctx.setLineDash([5 * ratio, 4 * ratio]);
    ctx.beginPath();
    ctx.moveTo(bbox.left, bbox.top + bbox.height);
    ctx.lineTo(bbox.left + bbox.width, end);
    ctx.stroke();
  }
}

/** Positions, then the tops of the stacked tiers from the highest to the lowest, then plain FP16. */
export function plotData(samples: Sample[], coarsestFirst: string[]): uPlot.AlignedData {
  const xs = [0, ...samples.map(({ positions }) => positions)];
  const tops: number[][] = [];
  let below = xs.map(() => 0);
  for (const label of coarsestFirst) {
    below = below.map((base, i) => base + (i === 0 ? 0 : (samples[i - 1]!.tiers.get(label)?.bytes ?? 0)));
    tops.push(below);
  }
  return [xs, ...tops.reverse(), [0, ...samples.map(({ bytesFp16 }) => bytesFp16)]];
}
