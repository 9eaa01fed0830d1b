// The whole window takes a model: drop a .gguf anywhere.
import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { openFiles } from '../state/app';
import { text } from '../strings';

export function DropTarget() {
  const over = useSignal(false);
  useEffect(() => {
    let depth = 0; // every element below the pointer announces itself
    const holdsFile = ({ dataTransfer }: DragEvent) => dataTransfer?.types.includes('Files') ?? false;
    const listen = (type: 'dragenter' | 'dragover' | 'dragleave' | 'drop', react: (event: DragEvent) => void) => {
      const listener = (event: DragEvent) => {
        if (!holdsFile(event)) return;
        event.preventDefault();
        react(event);
        over.value = depth > 0;
      };
      addEventListener(type, listener);
      return () => removeEventListener(type, listener);
    };
    const ends = [
      listen('dragenter', () => {
        depth += 1;
      }),
      listen('dragover', () => {}),
      listen('dragleave', () => {
        depth = Math.max(0, depth - 1);
      }),
      listen('drop', ({ dataTransfer }) => {
        depth = 0;
        const files = [...(dataTransfer?.files ?? [])];
        if (files.length > 0) void openFiles(files);
      }),
    ];
    return () => {
      for (const end of ends) end();
    };
  }, []);
  if (!over.value) return null;
  return (
    <div class="dropzone" aria-hidden="true">
      <p>
        {text.model.dropTitle}
        <span>{text.model.dropHint}</span>
      </p>
    </div>
  );
}
