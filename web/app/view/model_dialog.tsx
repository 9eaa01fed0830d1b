// Which model answers: the facts about the one in use, the included one, or one of one's own.
import type { ModelInfo } from '../../lib';
import { parameters } from '../format';
import { chat, includedModel, openIncluded } from '../state/app';
import { dialog } from '../state/ui';
import { text } from '../strings';
import { OwnModel } from './own_model';
import { Panel } from './panel';

export function ModelDialog() {
  const close = () => {
    dialog.value = undefined;
  };
  const model = chat.model.value;
  return (
    <Panel id="model-title" title={text.model.title} onClose={close}>
      {model && (
        <section>
          <h3>{text.model.inUse}</h3>
          <div class="row">
            <b>{model.name}</b>
          </div>
          <Facts info={model.info} />
        </section>
      )}
      {model?.source !== includedModel && (
        <section>
          <div class="row">
            <span>
              {text.model.included}
              <small>{text.model.includedFacts}</small>
            </span>
            <button type="button" class="btn" onClick={() => void openIncluded()}>
              {text.model.useIncluded(text.model.included)}
            </button>
          </div>
        </section>
      )}
      <section>
        <h3>{text.model.elsewhere}</h3>
        <OwnModel id="dialog" />
      </section>
    </Panel>
  );
}

function Facts({ info }: { info: ModelInfo }) {
  const { factNames } = text.model;
  const template =
    info.template.origin === 'file' ? text.model.templateFile : text.model.templateFallback(info.template.name);
  const facts: [string, string][] = [
    [factNames.architecture, text.model.shape(info.architecture, info.layers, info.kvHeads, info.headDim)],
    [factNames.parameters, parameters(info.parameters)],
    [factNames.weights, text.model.weights(info.weightTypes, info.weightBytes)],
    [factNames.trained, text.model.trained(info.trainedLength)],
    [factNames.template, template],
    [factNames.engine, text.model.engine(info.simd, info.threads)],
  ];
  return (
    <dl class="facts">
      {facts.map(([name, fact]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{fact}</dd>
        </div>
      ))}
    </dl>
  );
}
