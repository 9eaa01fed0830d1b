// A conversation, as people have it: say, read, stop, change one's mind, come back later.
import { expect, test } from '@playwright/test';
import { answers, ask, composer, endless, isIdle, openPage, questions, say, sendButton, stopButton, tokensInMemory } from './talk';

const fact = 'My name is Robert and my favourite colour is green.';
// About 2,000 words: reading them takes seconds.
const longText = `Please remember that my cat is called Tom. ${'The sun was warm and the garden was quiet that day. '.repeat(400)}`;

test('answers, and remembers what it was told', async ({ page }) => {
  await openPage(page);
  await ask(page, fact);
  expect(await ask(page, 'What is my name?')).toContain('Robert');
  await expect(questions(page)).toHaveText([fact, 'What is my name?']);
  await expect(page.locator('.stats').first()).toContainText('tokens/s');
  await expect(page.locator('.stats').first()).toContainText('memory');
  expect(await tokensInMemory(page)).toBeGreaterThan(20);
});

test('an example prompt starts a conversation', async ({ page }) => {
  await openPage(page);
  await expect(page.locator('.examples button')).toHaveCount(3);
  await page.locator('.examples button').first().click();
  await expect(answers(page)).toHaveCount(1);
  await isIdle(page);
});

test('Stop ends an answer and keeps what was written', async ({ page }) => {
  await openPage(page, endless);
  await say(page, 'Tell me a story.');
  await expect(answers(page).last()).toContainText(/(\S+\s+){4}/);
  await expect(sendButton(page)).toHaveCount(0);
  await stopButton(page).click();
  await isIdle(page);
  const kept = await answers(page).last().innerText();
  expect(kept.length).toBeGreaterThan(10);
  await expect(page.locator('.turn.ans').last()).toContainText('Stopped');
  await page.waitForTimeout(300);
  expect(await answers(page).last().innerText()).toBe(kept);
});

test('Escape stops too, and one can type while an answer is written', async ({ page }) => {
  await openPage(page, endless);
  await say(page, 'Tell me a story.');
  await expect(answers(page).last()).toContainText(/(\S+\s+){4}/);
  await composer(page).pressSequentially('my next thought');
  await composer(page).press('Escape');
  await isIdle(page);
  await expect(composer(page)).toHaveValue('my next thought');
});

test('reading shows how far it is, and can be stopped', async ({ page }) => {
  await openPage(page);
  await composer(page).fill(longText);
  await sendButton(page).click();
  await expect(page.getByText(/^Reading [\d,]+ of [\d,]+ tokens$/)).toBeVisible();
  await expect(page.getByRole('progressbar', { name: 'Reading' })).toBeVisible();
  const pressed = Date.now();
  await stopButton(page).click();
  await expect(sendButton(page)).toBeVisible();
  expect(Date.now() - pressed).toBeLessThan(1500); // 200 ms of the engine's, and what the test itself takes
  await expect(questions(page)).toHaveCount(1);
  await page.getByRole('button', { name: 'Answer now' }).click();
  await expect(answers(page)).toHaveCount(1, { timeout: 60_000 });
});

test('a reload keeps the conversation and reads it again', async ({ page }) => {
  await openPage(page);
  await ask(page, longText);
  await ask(page, fact);
  const before = await page.locator('.turns').innerText();
  await page.reload();
  await expect(questions(page).last()).toHaveText(fact);
  await expect(page.getByText(/^Re-reading [\d,]+ of [\d,]+ tokens$/)).toBeVisible();
  await isIdle(page);
  expect(await page.locator('.turns').innerText()).toBe(before);
  expect(await ask(page, 'What is my name?')).toContain('Robert');
});

test('what was written so far survives a reload in the middle of an answer', async ({ page }) => {
  await openPage(page, endless);
  await say(page, 'Tell me a story.');
  await expect(answers(page).last()).toContainText(/(\S+\s+){8}/);
  const seen = (await answers(page).last().innerText()).trim().slice(0, 20);
  await page.reload();
  await expect(answers(page)).toHaveCount(1);
  await expect(answers(page).last()).toContainText(seen);
  await expect(page.locator('.turn.ans').last()).toContainText('Interrupted');
});

test('the last message can be edited: its answer is replaced', async ({ page }) => {
  await openPage(page);
  await ask(page, 'My dog is called Rex.');
  await page.locator('.turn.you').last().hover();
  await page.getByRole('button', { name: 'Edit' }).click();
  await expect(composer(page)).toHaveValue('My dog is called Rex.');
  await composer(page).fill('My dog is called Biscuit.');
  await composer(page).press('Enter');
  await expect(questions(page)).toHaveText(['My dog is called Biscuit.']);
  await expect(answers(page)).toHaveCount(1);
  await isIdle(page);
  expect(await ask(page, 'What is my dog called?')).toContain('Biscuit');
});

test('an answer can be made anew, and copied', async ({ page, context }) => {
  await context.grantPermissions(['clipboard-read', 'clipboard-write']);
  await openPage(page);
  const first = await ask(page, fact);
  await page.getByRole('button', { name: 'Redo' }).click();
  await expect(answers(page)).toHaveCount(1);
  await isIdle(page);
  await expect(answers(page)).toHaveText([first]); // greedy: the same words
  await page.locator('.turn.ans').getByRole('button', { name: 'Copy' }).click();
  await expect(page.locator('.turn.ans').getByRole('button', { name: 'Copied' })).toBeVisible();
  expect((await page.evaluate(() => navigator.clipboard.readText())).trim()).toBe(first.trim());
});

test('conversations: a new one, going back, rename, search, delete', async ({ page }) => {
  await openPage(page);
  await ask(page, fact);
  await page.keyboard.press('Control+Shift+O');
  await expect(questions(page)).toHaveCount(0);
  await ask(page, 'The spare key is under the blue pot.');

  const list = page.locator('.chats > li');
  await expect(list).toHaveCount(2);
  await list.nth(1).getByRole('button').first().click();
  await expect(questions(page)).toHaveText([fact]);
  await isIdle(page);
  expect(await ask(page, 'What is my name?')).toContain('Robert');

  await list.first().hover();
  await list.first().getByRole('button', { name: /^Rename/ }).click();
  await page.getByLabel('New title').fill('About Robert');
  await page.getByLabel('New title').press('Enter');
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('About Robert');

  await page.keyboard.press('Control+k');
  await page.getByLabel('Search in all conversations').fill('blue POT');
  await expect(list).toHaveCount(1);
  await expect(list).toContainText('spare key');
  await page.getByLabel('Search in all conversations').press('Escape');

  await list.first().hover();
  await list.first().getByRole('button', { name: /^Delete/ }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
  await expect(list).toHaveCount(1);
  await expect(list).toContainText('spare key');
});

test('a system prompt is read before everything else', async ({ page }) => {
  await openPage(page);
  await page.getByRole('button', { name: 'Settings' }).click();
  await page.getByLabel('System prompt').fill('The user is called Robert.');
  await page.getByRole('button', { name: 'Done' }).click();
  await ask(page, 'Hello.');
  const withPrompt = await tokensInMemory(page);
  await page.getByRole('button', { name: 'Settings' }).click();
  await page.getByLabel('System prompt').fill('');
  await page.getByRole('button', { name: 'Done' }).click();
  await isIdle(page);
  await expect.poll(() => tokensInMemory(page)).toBeLessThan(withPrompt - 4);
});

test('while an input method composes, Enter chooses a word and sends nothing', async ({ page }) => {
  await openPage(page);
  await composer(page).focus();
  const client = await page.context().newCDPSession(page);
  await client.send('Input.imeSetComposition', { text: 'にほん', selectionStart: 3, selectionEnd: 3 });
  await composer(page).evaluate((box) =>
    box.dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter', isComposing: true, bubbles: true, cancelable: true })),
  );
  await client.send('Input.insertText', { text: '日本' });
  await expect(composer(page)).toHaveValue('日本');
  await expect(questions(page)).toHaveCount(0);
  await composer(page).press('Shift+Enter');
  await expect(composer(page)).toHaveValue('日本\n');
  await expect(questions(page)).toHaveCount(0);
  await composer(page).press('Enter');
  await expect(questions(page)).toHaveText(['日本']);
});
