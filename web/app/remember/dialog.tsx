// “Do you still remember?” as it is seen: two sides, the same type and size; the answer is the largest text.
import { useEffect, useMemo, useRef } from 'preact/hooks';
import { createWorkerEngine } from '../../lib';
import { includedModel } from '../state/app';
import { dialog } from '../state/ui';
import { text } from '../strings';
import { Core } from '../view/core';
import { Panel } from '../view/panel';
import { type Lane, Remembering, type Side, sides } from './run';

const firstName = 'Biscuit';
const longestName = 24; // letters

export function RememberDialog() {
  const remembering = useMemo(() => new Remembering(createWorkerEngine(), includedModel), []);
  useEffect(() => {
    void remembering.run(firstName);
    return () => remembering.close();
  }, []);
  const close = () => {
    dialog.value = undefined;
  };
  const failure = remembering.failure.value;
  return (
    <Panel id="remember-title" title={text.remember.title} wide onClose={close}>
      <p class="lede">{text.remember.lede(includedModel.name)}</p>
      <NameForm remembering={remembering} />
      {failure && <p role="alert">{text.remember.failed(failure)}</p>}
      <div class="lanes">
        {sides.map((side) => (
          <LaneView key={side} side={side} lane={remembering.lanes[side].value} />
        ))}
      </div>
      <Plain lane={remembering.lanes.keeps.value} />
    </Panel>
  );
}

function NameForm({ remembering }: { remembering: Remembering }) {
  const field = useRef<HTMLInputElement>(null);
  const running = remembering.running.value;
  return (
    <form
      class="again"
      onSubmit={(event) => {
        event.preventDefault();
        if (!running) void remembering.run(field.current!.value.trim() || firstName);
      }}
    >
      <label for="remember-name">{text.remember.nameLabel}</label>
      <input
        ref={field}
        id="remember-name"
        type="text"
        defaultValue={firstName}
        maxLength={longestName}
        autocomplete="off"
        aria-describedby="remember-hint"
      />
      <button type="submit" class="btn primary" aria-disabled={running}>
        {running ? text.remember.running : text.remember.run}
      </button>
      <p id="remember-hint" class="note">
        {text.remember.nameHint}
      </p>
    </form>
  );
}

function LaneView({ side, lane }: { side: Side; lane: Lane }) {
  const { title, manner } = text.remember.lanes[side];
  const { kept, reading, answer } = lane;
  return (
    <section class="lane" aria-labelledby={`lane-${side}`}>
      <header>
        <h3 id={`lane-${side}`}>{title}</h3>
        <p>{manner}</p>
      </header>
      <LanePicture side={side} lane={lane} />
      <dl>
        <dt>{text.remember.first}</dt>
        <dd>{text.remember.fact(lane.name)}</dd>
        <dt>{text.remember.between}</dt>
        <dd>{text.remember.pages}</dd>
        <dt>{text.remember.last}</dt>
        <dd>{text.remember.question}</dd>
        <dt class="vh">{text.remember.answer}</dt>
        <dd class={answer ? 'reply' : 'reply none'} aria-busy={!kept}>
          {answer || (reading ? text.remember.reading(reading.done, reading.total) : text.remember.waiting)}
        </dd>
      </dl>
      <p class={lane.remembered ? 'verdict yes' : 'verdict'} role="status">
        {kept && (
          <>
            <b>{lane.remembered ? text.remember.remembered : text.remember.forgotten}</b>
            <span>{text.remember.kept(kept.tokens, kept.of, kept.bytes)}</span>
          </>
        )}
      </p>
    </section>
  );
}

function LanePicture({ side, lane: { kept } }: { side: Side; lane: Lane }) {
  const { factMark, factState, questionMark, questionState } = text.remember;
  return (
    <figure role="img" aria-label={kept ? text.remember.picture(kept.tokens, kept.of) : text.remember.waiting}>
      <Core class="lane-core" runs={kept?.runs ?? []} unit={24} step={9} />
      <figcaption aria-hidden="true">
        <span>
          {factMark}
          <small>{kept && factState[side]}</small>
        </span>
        <span>
          {questionMark}
          <small>{kept && questionState[side]}</small>
        </span>
      </figcaption>
    </figure>
  );
}

/** Both against a memory that neither compresses nor deletes. */
function Plain({ lane: { kept } }: { lane: Lane }) {
  return <p class="note">{kept && text.remember.plain(kept.of, kept.bytesFp16)}</p>;
}
