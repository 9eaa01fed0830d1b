// What a person can choose for the page as a whole: looks, system prompt, how words are drawn.
import { useSignal } from '@preact/signals';
import { chat, openModels } from '../state/app';
import {
  change,
  defaults,
  type SamplingField,
  samplingRanges,
  samplingValue,
  settings,
  type Theme,
} from '../state/settings';
import { dialog } from '../state/ui';
import { text } from '../strings';
import { Panel } from './panel';

const themes: readonly Theme[] = ['system', 'light', 'dark'];

export function SettingsDialog() {
  const prompt = useSignal(chat.conversation.peek().systemPrompt);
  const close = () => {
    dialog.value = undefined;
    if (prompt.value !== chat.conversation.peek().systemPrompt) void chat.setSystemPrompt(prompt.value);
  };
  return (
    <Panel id="settings-title" title={text.settings.title} onClose={close}>
      <section>
        <h3>{text.settings.appearance}</h3>
        <ThemeField />
      </section>
      <section>
        <h3>{text.settings.conversation}</h3>
        <div class="row">
          <span>
            {text.settings.model}
            <small>{chat.model.value?.name ?? text.model.none}</small>
          </span>
          <button type="button" class="btn" onClick={openModels}>
            {text.settings.chooseModel}
          </button>
        </div>
        <label class="row tall">
          <span>
            {text.settings.systemPrompt}
            <small>{text.settings.systemPromptHint}</small>
          </span>
          <textarea
            rows={3}
            dir="auto"
            value={prompt}
            onInput={({ currentTarget: { value } }) => {
              prompt.value = value;
            }}
          />
        </label>
      </section>
      <section>
        <h3>{text.settings.answers}</h3>
        {(Object.keys(samplingRanges) as SamplingField[]).map((field) => (
          <SamplingNumber key={field} field={field} />
        ))}
        <SeedField />
        <div class="row">
          <span />
          <button type="button" class="btn" onClick={() => change({ sampling: defaults.sampling })}>
            {text.settings.reset}
          </button>
        </div>
      </section>
    </Panel>
  );
}

function ThemeField() {
  return (
    <fieldset class="row seg">
      <legend>{text.settings.theme}</legend>
      {themes.map((theme) => (
        <label key={theme}>
          <input
            type="radio"
            name="theme"
            checked={settings.value.theme === theme}
            onChange={() => change({ theme })}
          />
          <span>{text.settings.themes[theme]}</span>
        </label>
      ))}
    </fieldset>
  );
}

function SamplingNumber({ field }: { field: SamplingField }) {
  const [label, hint] = text.settings.sampling[field];
  const { sampling } = settings.value;
  return (
    <label class="row">
      <span>
        {label}
        <small>{hint}</small>
      </span>
      <input
        type="number"
        {...samplingRanges[field]}
        value={sampling[field]}
        onChange={({ currentTarget }) => {
          const value = samplingValue(field, currentTarget.valueAsNumber);
          currentTarget.value = String(value);
          change({ sampling: { ...sampling, [field]: value } });
        }}
      />
    </label>
  );
}

function SeedField() {
  const { sampling } = settings.value;
  return (
    <label class="row">
      <span>
        {text.settings.seed}
        <small>{text.settings.seedHint}</small>
      </span>
      <input
        type="number"
        min={0}
        max={2 ** 32 - 1}
        step={1}
        value={sampling.seed ?? ''}
        onChange={({ currentTarget }) => {
          const { valueAsNumber: typed } = currentTarget;
          const seed = Number.isInteger(typed) && typed >= 0 && typed < 2 ** 32 ? typed : null;
          currentTarget.value = seed === null ? '' : String(seed);
          change({ sampling: { ...sampling, seed } });
        }}
      />
    </label>
  );
}
