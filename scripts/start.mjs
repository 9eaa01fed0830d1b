// npm start: builds the engine for the browser and the page, and serves it here.
import { setUp } from './setup.mjs';
import { mustBuild } from './tools.mjs';

setUp('start');
mustBuild('wasm', 'wasm-mt');

const { build, preview } = await import('vite'); // only there after setUp
await build();
const server = await preview({ preview: { port: 4173 } }); // the next free port if that one is taken
console.log('\nStrata runs at:');
server.printUrls();
console.log('  Stop with Ctrl-C.');
