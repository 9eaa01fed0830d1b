// npm run check: what can be said about the source in seconds, without building it.
import { runChecks } from './checks.mjs';
import { setUp } from './setup.mjs';

setUp('test');
const { passed, failed } = runChecks();
console.log(`\n${passed} passed, ${failed} failed`);
process.exit(failed > 0 ? 1 : 0);
