// A small lying strip that shows how a conversation is kept: decoration beside words that say the same.
import { useEffect, useRef } from 'preact/hooks';
import { layoutStrip } from '../memory/strip_geometry';
import { fitCanvas, paintStrip, stripColours } from '../memory/strip_paint';
import { cellBits, type Run, sinksOf } from '../memory/tiers';
import { settings } from '../state/settings';
import { coloursChanged } from '../state/ui';

interface CoreProps {
  runs: Run[] | ((width: number) => Run[]); // oldest first; or what fills a width in CSS pixels
  unit: number; // CSS pixels for each cell of the window
  step: number; // CSS pixels for each doubling of bits
  class: string;
}

export function Core({ runs, unit, step, class: name }: CoreProps) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const theme = settings.value.theme;
  const colours = coloursChanged.value;
  useEffect(() => {
    const element = canvas.current!;
    const draw = () => {
      const { width, pixel } = fitCanvas(element);
      const wanted = typeof runs === 'function' ? runs(element.clientWidth) : runs;
      const [cells, sinks] = [cellBits(wanted), sinksOf(wanted)];
      const positions = wanted.reduce((sum, run) => sum + run.positions, 0);
      const layout = layoutStrip({ length: width, pixel, cells, positions, sinks, pending: 0, unit });
      paintStrip(element, alignedLeft(layout), { flat: true, step }, stripColours());
    };
    draw();
    const observer = new ResizeObserver(draw);
    observer.observe(element);
    return () => observer.disconnect();
  }, [runs, unit, step, theme, colours]);
  return <canvas ref={canvas} class={name} aria-hidden="true" />;
}

// In a list, cores begin at the same edge, so that their lengths can be compared.
function alignedLeft(layout: ReturnType<typeof layoutStrip>) {
  const shift = layout.slices[0]?.at ?? 0;
  return { ...layout, slices: layout.slices.map((slice) => ({ ...slice, at: slice.at - shift })) };
}
