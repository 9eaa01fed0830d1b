// Firefox as the system has it, with nobody steering it: what steers a browser also changes when its workers start, and
// that is what went wrong here once. The page itself takes the steps of a visitor, and reports.
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@playwright/test';
import { modelFile, steady } from './page';
import { isolating, type PlainServer, servePlain } from './plain_server';

const firefox = [process.env.FIREFOX, '/usr/bin/firefox', '/usr/bin/firefox-esr'].find(
  (path) => path && existsSync(path),
);

// No errands of Firefox's own.
const preferences = `user_pref('datareporting.policy.dataSubmissionEnabled', false);
user_pref('browser.aboutwelcome.enabled', false);
user_pref('app.normandy.enabled', false);
user_pref('network.captive-portal-service.enabled', false);
user_pref('network.connectivity-service.enabled', false);
`;

interface Report {
  step: string;
  found: string;
}

/** Runs in the page, at its every load. */
async function visit(model: string, settings: string): Promise<void> {
  if (!self.crossOriginIsolated) return; // the page is about to load again
  const report = (step: string, found: string) =>
    fetch('report', { method: 'POST', body: JSON.stringify({ step, found }) });
  const until = async (step: string, find: () => string | undefined) => {
    const deadline = performance.now() + 20_000;
    let found = find();
    for (; found === undefined && performance.now() < deadline; found = find())
      await new Promise((done) => setTimeout(done, 50));
    await report(step, found ?? `not within 20 s: ${document.body.innerText}`);
  };
  const modelNamed = (name: string) => () =>
    document.querySelector(`[aria-label^="Model: ${name}."]`) ? name : undefined;
  const atRest = () => [...document.querySelectorAll('button')].some(({ innerText }) => innerText === 'Send');
  const answer = (number: number) => () =>
    (atRest() && document.querySelectorAll<HTMLElement>('.turn.ans .text')[number - 1]?.innerText) || undefined;
  const say = (words: string) => {
    const box = document.querySelector<HTMLTextAreaElement>('#say')!;
    box.value = words;
    box.dispatchEvent(new Event('input', { bubbles: true }));
    box.dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter', bubbles: true, cancelable: true }));
  };

  if (!sessionStorage.getItem('visited')) {
    sessionStorage.setItem('visited', 'yes');
    localStorage.setItem('strata.settings', settings);
    await until('model', modelNamed('Pocket Chat 5.8M'));
    say('My name is Robert and I live in Lisbon.');
    await until('answer', answer(1));
    await until('offline', () => (document.body.innerText.includes('ready offline') ? 'ready' : undefined));
    const file = new DataTransfer();
    file.items.add(new File([await (await fetch(model)).arrayBuffer()], 'mine.gguf'));
    window.dispatchEvent(new DragEvent('drop', { dataTransfer: file, bubbles: true, cancelable: true }));
    await until('a second engine', modelNamed('mine'));
    location.reload();
    return;
  }
  await until('model again', modelNamed('Pocket Chat 5.8M'));
  await until('conversation', answer(1));
  say('What is my name?');
  await until('answer of a later visit', answer(2));
  await report('end', '');
}

let plain: PlainServer;
let profile: string;
let browser: ChildProcess | undefined;
test.skip(!firefox, 'No Firefox is installed');
test.beforeEach(async () => {
  plain = await servePlain('dist');
  profile = mkdtempSync(join(tmpdir(), 'strata-firefox-'));
  writeFileSync(join(profile, 'user.js'), preferences);
});
test.afterEach(async () => {
  if (browser) {
    const ended = new Promise((done) => browser!.once('exit', done));
    browser.kill('SIGKILL');
    await ended;
  }
  await plain.stop();
  rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
});

for (const [host, headers] of Object.entries({ 'that sends the headers': isolating, 'that sends none': {} })) {
  test(`a host ${host}: a first visit, a second engine, and a reload`, async () => {
    const file = modelFile.replace('web/public/', '');
    const engines = new Set<string>();
    plain.headers = headers;
    plain.more['/visit.js'] = `(${visit})('${file}', '${JSON.stringify(steady)}');`;
    plain.change = (path, body) => {
      if (path.startsWith('/engine/')) engines.add(path.slice(8, 17));
      if (path !== '/index.html') return body;
      return Buffer.from(body.toString().replace('<title>', '<script src="visit.js"></script><title>'));
    };
    const reports: Report[] = [];
    const ended = new Promise<void>((done) => {
      plain.received = (body) => {
        reports.push(JSON.parse(body) as Report);
        if (reports.at(-1)!.step === 'end') done();
      };
    });
    browser = spawn(firefox!, ['--headless', '--no-remote', '--profile', profile, plain.url], { stdio: 'ignore' });
    await Promise.race([ended, new Promise((tired) => setTimeout(tired, 90_000))]);
    const found = Object.fromEntries(reports.map(({ step, found }) => [step, found]));
    expect(found).toEqual({
      model: 'Pocket Chat 5.8M',
      answer: expect.any(String),
      offline: 'ready',
      'a second engine': 'mine',
      'model again': 'Pocket Chat 5.8M',
      conversation: found.answer,
      'answer of a later visit': expect.stringContaining('Robert'),
      end: '',
    });
    expect([...engines]).toEqual(['engine-mt']);
  });
}
