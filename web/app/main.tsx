// The page. First isolation (which may reload), then everything else.
import { render } from 'preact';
import { ensureIsolated } from './isolation';
import { watchSettings } from './state/settings';

watchSettings();
await ensureIsolated();
const { App } = await import('./view/app');
const { start } = await import('./state/app');
render(<App />, document.getElementById('app')!);
void start();
