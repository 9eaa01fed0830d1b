// An empty conversation: what this is, three ways to begin, and which model answers.

import { presetBits } from '../memory/budget';
import { chat, openRemember } from '../state/app';
import { settings } from '../state/settings';
import { text } from '../strings';
import { Core } from './core';
import { FaultCard } from './doing';
import { OpeningProgress } from './opening';
import { OwnModel } from './own_model';

const tile = 64;
const slice = 7; // CSS pixels of an older slice in the picture
const windowSlice = 18;
const windowSlices = 3;

export function Start() {
  const { preset } = settings.value.memory;
  return (
    <div class="start">
      <h1>{text.start.title}</h1>
      <figure class="hero" role="img" aria-label={text.start.picture}>
        <Core
          class="hero-core"
          step={8}
          unit={windowSlice}
          runs={(width) => [
            { bits: presetBits[preset], positions: Math.floor((width - windowSlices * windowSlice) / slice) * tile },
            { bits: 32, positions: windowSlices * tile },
          ]}
        />
        <figcaption aria-hidden="true">
          <span>{text.start.older(preset)}</span>
          <b>{text.start.now}</b>
        </figcaption>
      </figure>
      <p class="lede">{text.start.lede}</p>
      {chat.fault.value && <FaultCard fault={chat.fault.value} />}
      <OpeningProgress />
      <section aria-labelledby="examples">
        <h2 id="examples" class="label">
          {text.start.examplesTitle}
        </h2>
        <ul class="examples">
          {text.start.examples.map((example) => (
            <li key={example}>
              <button type="button" onClick={() => void chat.send(example)}>
                {example}
              </button>
            </li>
          ))}
        </ul>
        <p class="proof">
          <button type="button" class="link" onClick={openRemember}>
            {text.remember.title}
          </button>{' '}
          {text.start.proof}
        </p>
      </section>
      <section aria-labelledby="start-model">
        <h2 id="start-model" class="label">
          {text.model.title}
        </h2>
        <p class="honest">{text.start.honest}</p>
        <OwnModel id="start" />
      </section>
    </div>
  );
}
