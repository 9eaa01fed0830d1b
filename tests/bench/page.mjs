// One engine in one tab: page.html?engine=strata. The benchmark alternates between tabs.
import { StrataContender } from './engines/strata.mjs';
import { WllamaContender } from './engines/wllama.mjs';

const contenders = { strata: StrataContender, wllama: WllamaContender };
const name = new URL(location.href).searchParams.get('engine');
const contender = new contenders[name]();
const input = /** @type {HTMLInputElement} */ (document.getElementById('model'));

window.contender = {
  load: (options) => contender.load(input.files[0], options),
  prefill: (tokens, index) => contender.prefill(tokens, index),
  decode: (depth, tokens) => contender.decode(depth, tokens),
};
