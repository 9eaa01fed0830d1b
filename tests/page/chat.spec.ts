// Talking: streaming, stopping, saying it again, saying it differently.
import { expect, test } from '@playwright/test';
import {
  answers,
  answerTo,
  ask,
  atRest,
  endless,
  longText,
  message,
  open,
  questions,
  sendButton,
  stopButton,
  unending,
} from './page';

const story = 'Tell me a story.';

test('an answer streams in, and what was told is remembered', async ({ page }) => {
  await open(page);
  await ask(page, 'My name is Robert.');
  const first = answers(page).first();
  await expect(first).not.toBeEmpty();
  await atRest(page);
  await expect(page.locator('.turn.ans').first()).toHaveAttribute('aria-busy', 'false');
  expect(await answerTo(page, 'What is my name?')).toContain('Robert');
  await expect(page.locator('.turn.ans.last .acts')).toContainText(/First word .*tokens\/s/);
  await expect(page.locator('.stats').first()).toContainText(/tokens\/s.*memory/);
});

test('words appear one after the other, not all at once', async ({ page }) => {
  await open(page);
  await page.evaluate(() => {
    const seen = new Set<number>();
    Object.assign(window, { seenLengths: seen });
    new MutationObserver(() => {
      seen.add(document.querySelector('.turn.ans .text')?.textContent?.length ?? 0);
    }).observe(document.body, { subtree: true, childList: true, characterData: true });
  });
  await answerTo(page, story);
  const steps = await page.evaluate(() => (window as unknown as { seenLengths: Set<number> }).seenLengths.size);
  expect(steps).toBeGreaterThan(5);
});

test('Stop ends an answer at once, keeps what is there, and the conversation goes on', async ({ page }) => {
  await open(page);
  await page.evaluate(() => {
    const stopAtFirstWords = new MutationObserver(() => {
      if (!document.querySelector('.turn.ans .text')?.textContent) return;
      stopAtFirstWords.disconnect();
      document.querySelector<HTMLButtonElement>('.composer .stop')!.click();
    });
    stopAtFirstWords.observe(document.body, { subtree: true, childList: true, characterData: true });
  });
  await ask(page, story); // over within .2 seconds: before Playwright could click
  await expect(sendButton(page)).toBeVisible({ timeout: 1000 });
  await expect(page.locator('.turn.ans.last .acts')).toContainText('Stopped');
  let kept = '';
  const isPainted = async () => {
    const before = kept; // the last words are painted a frame after Stop
    kept = (await answers(page).first().textContent()) ?? '';
    return kept.length > 0 && kept === before;
  };
  await expect.poll(isPainted).toBe(true);
  await answerTo(page, 'My name is Anna.');
  expect(await answers(page).first().textContent()).toBe(kept);
  expect(await answerTo(page, 'What is my name?')).toContain('Anna');
});

test('Escape stops too', async ({ page }) => {
  await open(page, unending);
  await ask(page, endless);
  await expect(answers(page).first()).not.toBeEmpty();
  await expect(stopButton(page)).toBeVisible();
  await page.keyboard.press('Escape');
  await expect(sendButton(page)).toBeVisible({ timeout: 1000 });
});

test('reading shows how far it is, can be stopped within 200 ms, and goes on from there', async ({ page }) => {
  await open(page);
  await ask(page, longText(6000));
  const reading = page.getByText(/^Reading [\d,]+ of [\d,]+ tokens/);
  await expect(reading).toBeVisible();
  await expect(page.getByRole('progressbar', { name: 'Reading' })).toBeVisible();
  const total = number(await reading.innerText(), / of ([\d,]+) /);
  expect(total).toBeGreaterThan(3000);
  await expect.poll(async () => number(await reading.innerText(), /Reading ([\d,]+) /)).toBeGreaterThan(300);

  // Measured in the page: from the click to the moment in which Send is back.
  const tookMs = await page.evaluate(async () => {
    const stop = document.querySelector<HTMLButtonElement>('.composer .stop')!;
    const started = performance.now();
    stop.click();
    while (document.querySelector('.composer .stop')) await new Promise((done) => setTimeout(done, 5));
    return performance.now() - started;
  });
  expect(tookMs).toBeLessThan(200);

  await page.getByRole('button', { name: 'Answer now' }).click();
  await expect(reading).toBeVisible();
  expect(number(await reading.innerText(), / of ([\d,]+) /)).toBeLessThanOrEqual(total);
  await page.keyboard.press('Escape');
  await atRest(page);
});

test('the last answer can be redone, and the last message edited', async ({ page }) => {
  await open(page);
  await answerTo(page, 'My name is Robert.');
  await page.getByRole('button', { name: 'Redo' }).click();
  await atRest(page);
  await expect(answers(page)).toHaveCount(1);

  await page.locator('.turn.you').hover();
  await page.getByRole('button', { name: 'Edit' }).click();
  await expect(message(page)).toHaveValue('My name is Robert.');
  await expect(message(page)).toBeFocused();
  await message(page).fill('My name is Julia.');
  await message(page).press('Enter');
  await expect(questions(page)).toHaveText(['My name is Julia.']);
  await expect(answers(page)).toHaveCount(1);
  await atRest(page);
  const answer = await answerTo(page, 'What is my name?');
  expect(answer).toContain('Julia');
  expect(answer).not.toContain('Robert');
});

test('the arrow up in an empty box takes the last message back, and Escape gives it up', async ({ page }) => {
  await open(page);
  await answerTo(page, 'Hello.');
  await message(page).press('ArrowUp');
  await expect(message(page)).toHaveValue('Hello.');
  await message(page).press('Escape');
  await expect(message(page)).toHaveValue('');
  await expect(questions(page)).toHaveCount(1);
});

test('an answer can be copied', async ({ page, context }) => {
  await context.grantPermissions(['clipboard-read', 'clipboard-write']);
  await open(page);
  const answer = await answerTo(page, 'My name is Robert.');
  await page.locator('.turn.ans').getByRole('button', { name: 'Copy' }).click();
  await expect(page.getByRole('button', { name: 'Copied' })).toBeVisible();
  expect((await page.evaluate(() => navigator.clipboard.readText())).trim()).toBe(answer.trim());
});

test('a new conversation knows nothing of the one before', async ({ page }) => {
  await open(page);
  await answerTo(page, 'My name is Robert.');
  await page.keyboard.press('Control+Shift+O');
  await expect(page.getByRole('heading', { name: 'Nothing you say here is forgotten.' })).toBeVisible();
  await expect(message(page)).toBeFocused();
  expect(await answerTo(page, 'What is my name?')).not.toContain('Robert');
});

test('the system prompt is read before everything else', async ({ page }) => {
  await open(page);
  await answerTo(page, 'Hello.');
  await page.getByRole('button', { name: 'Settings' }).click();
  await page.getByRole('textbox', { name: 'System prompt' }).fill('The name of the user is Walter.');
  await page.getByRole('button', { name: 'Done' }).click();
  await atRest(page);
  await page.getByRole('button', { name: 'Memory', exact: true }).click();
  const before = await kept(page);
  await page.getByRole('button', { name: 'Settings' }).click();
  await page.getByRole('textbox', { name: 'System prompt' }).fill('');
  await page.getByRole('button', { name: 'Done' }).click();
  await expect.poll(() => kept(page)).toBeLessThan(before);
});

test('Enter that chooses a word of an input method does not send', async ({ page }) => {
  await open(page);
  await message(page).focus();
  const input = await page.context().newCDPSession(page);
  await input.send('Input.imeSetComposition', { text: 'nihao', selectionStart: 5, selectionEnd: 5 });
  await input.send('Input.dispatchKeyEvent', {
    type: 'rawKeyDown',
    key: 'Process',
    code: 'Enter',
    windowsVirtualKeyCode: 229,
  });
  await message(page).evaluate((box) => {
    box.dispatchEvent(
      new KeyboardEvent('keydown', { key: 'Enter', isComposing: true, bubbles: true, cancelable: true }),
    );
  });
  await expect(questions(page)).toHaveCount(0);
  await input.send('Input.insertText', { text: '你好' });
  await expect(message(page)).toHaveValue('你好');
  await message(page).press('Enter');
  await expect(questions(page)).toHaveText(['你好']);
});

test('Shift and Enter make a new line; on a touch screen Enter alone does', async ({ page, browser }) => {
  await open(page);
  await message(page).pressSequentially('one');
  await message(page).press('Shift+Enter');
  await message(page).pressSequentially('two');
  await expect(message(page)).toHaveValue('one\ntwo');

  const context = await browser.newContext({ hasTouch: true, isMobile: true, viewport: { width: 390, height: 844 } });
  const phone = await context.newPage();
  await open(phone);
  await message(phone).fill('one');
  await message(phone).press('Enter');
  await expect(message(phone)).toHaveValue('one\n');
  await expect(questions(phone)).toHaveCount(0);
  await context.close();
});

test('everything can be done by keyboard', async ({ page }) => {
  await open(page);
  await expect(message(page)).toBeFocused();
  await page.keyboard.type('My name is Robert.');
  await page.keyboard.press('Enter');
  await expect(answers(page).first()).not.toBeEmpty();
  await atRest(page);
  await expect(message(page)).toBeFocused();

  await page.keyboard.press('Shift+Tab'); // to the last action of the last answer
  await expect(page.getByRole('button', { name: 'Redo' })).toBeFocused();
  await page.keyboard.press('Enter');
  await atRest(page);
  await expect(answers(page)).toHaveCount(1);

  await page.keyboard.press('Control+Shift+M');
  await expect(page.getByRole('heading', { name: 'Memory' })).toBeVisible();
  const strip = page.getByRole('slider', { name: 'Position in this conversation' });
  await strip.focus();
  await page.keyboard.press('Home');
  await expect(strip).toHaveAttribute('aria-valuetext', /^Exact, turn 1, tokens 0 to/);
  await page.keyboard.press('Enter');
  await expect(page.locator('.turn').first()).toBeFocused();
});

const number = (words: string, pattern: RegExp) => Number(pattern.exec(words)?.[1]?.replace(/,/g, '') ?? Number.NaN);

async function kept(page: import('@playwright/test').Page): Promise<number> {
  return number(await page.locator('.tiers .kept td').first().innerText(), /([\d,]+)/);
}
