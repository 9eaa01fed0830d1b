// npm run build: everything that can be given to others. dist/ is the page for any web server, build/native/strata the
// command line.
import { setUp } from './setup.mjs';
import { must, mustBuild } from './tools.mjs';

setUp('build');
mustBuild('wasm', 'wasm-mt', 'native');
must('npx', ['vite', 'build']);
console.log('\nBuilt: dist/ (the page), build/native/strata (the command line)');
