// An empty conversation: what this is, three ways to begin, and which model answers.

import type { KvType } from '../../lib';
import { levelOf } from '../memory/tiers';
import { chat } from '../state/app';
import { settings } from '../state/settings';
import { text } from '../strings';
import { Core } from './core';
import { FaultCard } from './doing';
import { OpeningProgress } from './opening';
import { OwnModel } from './own_model';

const bitsOf: Record<KvType, number> = { fp32: 32, fp16: 16, q8_0: 8, q4_0: 4, hq4_0: 4, turbo_kv_4b: 4 };
const tile = 64;
const slice = 7; // CSS pixels of an older slice in the picture
const windowSlice = 18;
const windowSlices = 3;

export function Start() {
  const { keyType, valueType } = settings.value.memory;
  const older = (bitsOf[keyType] + bitsOf[valueType]) / 2;
  return (
    <div class="start">
      <h1>{text.start.title}</h1>
      <figure class="hero" role="img" aria-label={text.start.picture}>
        <Core
          class="hero-core"
          step={8}
          unit={windowSlice}
          runs={(width) => [
            { bits: older, positions: Math.floor((width - windowSlices * windowSlice) / slice) * tile },
            { bits: 32, positions: windowSlices * tile },
          ]}
        />
        <figcaption aria-hidden="true">
          <span>{text.start.older(text.tier.level(levelOf(older)))}</span>
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
