// Opening a model of one's own: a file by button (or dropped anywhere), or an address.
import { useRef } from 'preact/hooks';
import { lookAt, openFiles } from '../state/app';
import { text } from '../strings';

/** `id` tells two of these apart. */
export function OwnModel({ id }: { id: string }) {
  const file = useRef<HTMLInputElement>(null);
  const url = useRef<HTMLInputElement>(null);
  return (
    <form
      class="own"
      onSubmit={(event) => {
        event.preventDefault();
        const address = url.current!.value.trim();
        if (address) lookAt(address);
      }}
    >
      <p>{text.model.hint}</p>
      <input
        ref={file}
        type="file"
        accept=".gguf"
        multiple
        hidden
        onChange={({ currentTarget }) => {
          const chosen = [...(currentTarget.files ?? [])];
          currentTarget.value = ''; // so that the same file can be chosen again
          if (chosen.length > 0) void openFiles(chosen);
        }}
      />
      <div>
        <label class="vh" for={`${id}-url`}>
          {text.model.urlLabel}
        </label>
        <input
          ref={url}
          id={`${id}-url`}
          type="text"
          inputMode="url"
          autocapitalize="off"
          placeholder={text.model.urlPlaceholder}
          spellcheck={false}
          required
        />
        <button type="submit" class="btn">
          {text.model.openUrl}
        </button>
        <button type="button" class="btn" onClick={() => file.current!.click()}>
          {text.model.openFile}
        </button>
      </div>
    </form>
  );
}
