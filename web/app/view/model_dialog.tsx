// Which model answers: the facts about the one in use, the included one, or one of one's own.
import type { ModelInfo } from '../../lib';
import { parameters } from '../format';
import { chat } from '../state/app';
import { kept, look, looking, stopLooking, suggestions } from '../state/models';
import { dialog } from '../state/ui';
import { text } from '../strings';
import { Facts } from './facts';
import { KeptModels } from './kept_models';
import { LookingAt } from './looking';
import { OwnModel } from './own_model';
import { Panel } from './panel';

export function ModelDialog() {
  const close = () => {
    stopLooking();
    dialog.value = undefined;
  };
  const model = chat.model.value;
  const at = looking.value;
  if (at)
    return (
      <Panel id="model-title" title={text.model.title} onClose={close}>
        <LookingAt at={at} />
      </Panel>
    );
  return (
    <Panel id="model-title" title={text.model.title} onClose={close}>
      {model && (
        <section>
          <h3>{text.model.inUse}</h3>
          <div class="row">
            <b>{model.name}</b>
          </div>
          <FactsInUse info={model.info} />
        </section>
      )}
      <KeptModels />
      <section>
        <h3>{text.model.suggested}</h3>
        <ul class="rows">
          {suggestions
            .filter(({ url }) => !kept.value.some((each) => each.url === url))
            .map(({ name, url, bytes, licence }) => (
              <li class="row" key={url}>
                <span>
                  {name}
                  <small>{text.model.suggestion(bytes, licence)}</small>
                </span>
                <button type="button" class="btn" aria-label={text.model.lookAt(name)} onClick={() => void look(url)}>
                  {text.model.look}
                </button>
              </li>
            ))}
        </ul>
      </section>
      <section>
        <h3>{text.model.elsewhere}</h3>
        <OwnModel id="dialog" />
      </section>
    </Panel>
  );
}

function FactsInUse({ info }: { info: ModelInfo }) {
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
  return <Facts facts={facts} />;
}
