// What a model needs, read from its header before it is downloaded; or the models of a repository to choose from.
import type { ComponentChildren } from 'preact';
import type { HubModel, ModelPlan } from '../../lib';
import { parameters } from '../format';
import { openUrl } from '../state/app';
import type { Fault } from '../state/fault';
import { nameOf } from '../state/model_name';
import { type Looking, look, stopLooking } from '../state/models';
import { presets } from '../state/settings';
import { text } from '../strings';
import { Facts } from './facts';

export function LookingAt({ at }: { at: Looking }) {
  const words = text.model;
  switch (at.kind) {
    case 'asking':
      return (
        <Frame title={nameOf(at.address)} busy>
          <p class="note" role="status">
            {words.asking}
          </p>
        </Frame>
      );
    case 'repository':
      return (
        <Frame title={at.address}>
          <Repository models={at.models} />
        </Frame>
      );
    case 'fault':
      return (
        <Frame title={nameOf(at.address)}>
          <Refused fault={at.fault} again={() => void look(at.address)} />
        </Frame>
      );
    case 'plan':
      return (
        <Frame title={nameOf(at.address)}>
          <Plan plan={at.plan} address={at.address} />
        </Frame>
      );
  }
}

function Frame({ title, busy = false, children }: { title: string; busy?: boolean; children: ComponentChildren }) {
  return (
    <section class="looking" aria-busy={busy} aria-label={title}>
      <div class="row">
        <b>{title}</b>
        <button type="button" class="text-btn" onClick={stopLooking}>
          {text.model.back}
        </button>
      </div>
      {children}
    </section>
  );
}

function Refused({ fault, again }: { fault: Fault; again: () => void }) {
  const retry = fault.wayOn === 'open again';
  return (
    <div class="fault" role="alert">
      <h3>{fault.title}</h3>
      <p>{fault.cause}</p>
      <button type="button" class="btn primary" onClick={retry ? again : stopLooking}>
        {retry ? text.fault.tryAgain : text.fault.anotherFile}
      </button>
    </div>
  );
}

function Repository({ models }: { models: HubModel[] }) {
  if (models.length === 0) return <p class="note">{text.model.noneThere}</p>;
  return (
    <ul class="rows">
      {models.map(({ name, url, bytes, parts }) => (
        <li class="row" key={url}>
          <span>
            {name}
            <small>{text.model.listed(bytes, parts)}</small>
          </span>
          <button type="button" class="btn" onClick={() => void look(url)}>
            {text.model.look}
          </button>
        </li>
      ))}
    </ul>
  );
}

function Plan({ plan, address }: { plan: ModelPlan; address: string }) {
  const { planNames, ...words } = text.model;
  const facts: [string, string][] = [
    [
      planNames.architecture,
      plan.parameters > 0 ? `${plan.architecture}, ${parameters(plan.parameters)}` : plan.architecture,
    ],
    [planNames.weights, words.planWeights(plan.weightBytes, plan.weightTypes)],
    ...presets.flatMap((preset): [string, string][] => {
      const each = plan.presets[preset];
      return each
        ? [[planNames.memory(preset), words.planMemory(each.bytesPerToken, each.windowedBytes, each.tokens)]]
        : [];
    }),
    [planNames.trained, words.trained(plan.trainedLength)],
  ];
  return (
    <>
      <p class={plan.runs ? 'verdict' : 'verdict no'}>
        {plan.runs
          ? words.runs(plan.presets.quality?.tokens ?? plan.presets.exact?.tokens ?? 0)
          : words.runsNot(plan.weightBytes + plan.workingBytes + plan.windowBytes, plan.tabBytes)}
      </p>
      <Facts facts={facts} />
      {plan.runs && (
        <p class="answers">
          <button type="button" class="btn primary" onClick={() => void openUrl(address)}>
            {words.download(plan.weightBytes)}
          </button>
        </p>
      )}
    </>
  );
}
