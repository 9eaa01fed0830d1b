// What must survive: a reload, a tab that is closed in mid-answer, an engine that dies.
import { expect, type Page, test } from '@playwright/test';
import {
  answered,
  answers,
  answerTo,
  ask,
  atRest,
  endless,
  expectModel,
  longText,
  message,
  modelName,
  open,
  plant,
  questions,
  said,
  unending,
  watchFor,
} from './page';

test('after a reload the conversation is there, and its memory is restored without reading', async ({ page }) => {
  await open(page);
  const question = `My name is Robert. ${longText(1200)}`;
  const answer = await answerTo(page, question);
  await memoryKept(page);
  await page.reload();
  await expect(questions(page)).toHaveText([question]);
  await expect(answers(page).last()).toHaveText(answer);
  await expect(page.getByText(/^[\d,]+.tokens restored in/)).toBeVisible();
  await expect(page.getByText(/^Re-reading/)).toBeHidden();
  expect(await answerTo(page, 'What is my name?')).toContain('Robert');
});

test('what was said after the memory was kept is read, and no more', async ({ page }) => {
  await open(page);
  await answerTo(page, `My name is Robert. ${longText(600)}`);
  await memoryKept(page);
  await page.evaluate(async () => {
    const db = await new Promise<IDBDatabase>((done) => {
      const opened = indexedDB.open('strata');
      opened.onsuccess = () => done(opened.result);
    });
    const id = localStorage.getItem('strata.conversation')!;
    const turns = db.transaction('turns', 'readwrite').objectStore('turns');
    turns.put({ role: 'user', text: 'My dog is called Biscuit.' }, [id, 2]);
    turns.put(
      { role: 'assistant', text: 'I see.', end: { reason: 'end_of_turn', firstTokenMs: 1, tokensPerSecond: 1 } },
      [id, 3],
    );
    await new Promise((done) => {
      turns.transaction.oncomplete = done;
    });
  });
  await page.reload();
  await expect(questions(page)).toHaveCount(2);
  await expect(page.getByText(/^[\d,]+.tokens restored in/)).toBeVisible();
  expect(await answerTo(page, 'What is my dog called?')).toContain('Biscuit');
});

for (const damage of ['one bit is wrong', 'the end is missing', 'nothing is there'] as const) {
  test(`a kept memory in which ${damage} is not used: the conversation is read again`, async ({ page }) => {
    await open(page);
    await answerTo(page, `My name is Robert. ${longText(1200)}`);
    await memoryKept(page);
    await page.evaluate(async (damage) => {
      const opened = indexedDB.open('strata-memory');
      const db = await new Promise<IDBDatabase>((done) => {
        opened.onsuccess = () => done(opened.result);
      });
      const result = <T>(request: IDBRequest<T>) =>
        new Promise<T>((done) => {
          request.onsuccess = () => done(request.result);
        });
      const id = localStorage.getItem('strata.conversation')!;
      const kept = await result(db.transaction('snapshots').objectStore('snapshots').get(id));
      const memory: Uint8Array = kept.memory;
      if (damage === 'one bit is wrong') memory[5000]! ^= 1;
      const length = damage === 'nothing is there' ? 0 : damage === 'the end is missing' ? 5000 : memory.length;
      const spoilt = { ...kept, memory: memory.slice(0, length) };
      await result(db.transaction('snapshots', 'readwrite').objectStore('snapshots').put(spoilt, id));
    }, damage);
    const readAgain = await watchFor(page, '.reading b', /^Re-reading [\d,]+ of [\d,]+ tokens/);
    await page.reload();
    await expect.poll(readAgain).toBe(true);
    await atRest(page);
    await expect(page.getByRole('alert')).toBeHidden();
    expect(await answerTo(page, 'What is my name?')).toContain('Robert');
  });
}

test('two tabs with one conversation: one writes, the other says so and goes on in a copy', async ({
  page,
  context,
}) => {
  await open(page);
  await answerTo(page, 'My name is Robert.');
  await memoryKept(page);
  const second = await context.newPage();
  await open(second);
  await expect(questions(second)).toHaveText(['My name is Robert.']);
  const notice = second.getByText('Another tab has this conversation too');
  await expect(notice).toBeVisible();
  await expect(page.getByText('Another tab has this conversation too')).toBeHidden();

  expect(await answerTo(second, 'What is my name?')).toContain('Robert');
  await expect(notice).toBeHidden();
  await answerTo(page, 'My dog is called Biscuit.');
  await page.reload();
  await expect(questions(page)).toHaveText(['My name is Robert.', 'My dog is called Biscuit.']);
  await second.reload();
  await expect(second.locator('.chat-link')).toHaveCount(2);
});

test('a conversation that another tab lets go of is shown as that tab left it', async ({ page, context }) => {
  await open(page);
  await answerTo(page, 'My name is Robert.');
  const second = await context.newPage();
  await open(second);
  await expect(second.getByText('Another tab has this conversation too')).toBeVisible();
  await answerTo(page, 'My dog is called Biscuit.');
  await page.close();
  await expect(questions(second)).toHaveText(['My name is Robert.', 'My dog is called Biscuit.']);
  await expect(second.getByText('Another tab has this conversation too')).toBeHidden();
  expect(await answerTo(second, 'What is my dog called?')).toContain('Biscuit');
});

test('the words of an answer that was cut off by closing the tab are kept', async ({ page }) => {
  await open(page);
  await ask(page, 'Tell me a story.'); // half a second long: the page itself watches for the first words
  const reloaded = page.waitForEvent('load');
  await page.evaluate(() => {
    const look = () => {
      if (document.querySelector('.turn.ans .text')?.textContent) setTimeout(() => location.reload(), 50);
      else setTimeout(look, 5);
    };
    look();
  });
  await reloaded;
  await expect(page.locator('.turn.ans .acts')).toContainText('Interrupted');
  await expect(answers(page)).toContainText('There');
  await atRest(page);
  await expect(page.locator('.tier')).toBeVisible(); // and they are in memory again
});

test('when the engine dies the page says so, keeps the conversation, and starts a fresh one', async ({ page }) => {
  await open(page);
  await answerTo(page, 'My name is Robert.');
  await killEngine(page);
  await ask(page, 'What is my name?');
  const fault = page.getByRole('alert');
  await expect(fault).toContainText('The engine stopped.');
  await expect(fault).toContainText('conversation is kept');
  await expect(questions(page)).toHaveCount(2);
  await fault.getByRole('button', { name: 'Start it again' }).click();
  await expect(fault).toBeHidden();
  await page.getByRole('button', { name: 'Answer now' }).click();
  await expect(answers(page).last()).toContainText('Robert');
});

test('an engine that dies in mid-answer leaves what it has said', async ({ page }) => {
  await open(page, unending);
  await ask(page, endless);
  await expect(answers(page).first()).not.toBeEmpty();
  await killEngine(page);
  await expect(page.getByRole('alert')).toContainText('The engine stopped.');
  await expect(answers(page).first()).not.toBeEmpty();
  await expect(page.locator('.turn.ans .acts').first()).toContainText('Interrupted');
  await page.getByRole('button', { name: 'Start it again' }).click();
  await expectModel(page, modelName);
  await atRest(page);
  await ask(page, 'Hello.');
  await expect(answers(page)).toHaveCount(2);
  await expect(answers(page).last()).not.toBeEmpty();
});

test('conversations are listed, found, renamed and deleted', async ({ page }) => {
  await open(page);
  await answerTo(page, 'My cat is called Misty.');
  await page.getByRole('button', { name: 'New conversation' }).click();
  await answerTo(page, 'My horse is called Thunder.');
  const rail = page.getByRole('complementary', { name: 'Conversations' });
  const entries = rail.locator('.chat-link');
  await expect(entries).toHaveCount(2);

  await page.keyboard.press('Control+k');
  await page.getByRole('searchbox').fill('misty');
  await expect(entries).toHaveCount(1);
  await entries.click();
  await expect(questions(page)).toHaveText(['My cat is called Misty.']);
  await page.getByRole('searchbox').press('Escape');
  await expect(entries).toHaveCount(2);

  await entries.filter({ hasText: 'Misty' }).hover();
  await rail.getByRole('button', { name: 'Rename “My cat is called Misty.”' }).click();
  await page.getByRole('textbox', { name: 'New title' }).fill('The cat');
  await page.keyboard.press('Enter');
  await expect(entries.filter({ hasText: 'The cat' })).toHaveCount(1);
  await expect(page.getByRole('heading', { name: 'The cat', level: 1 })).toBeVisible();

  await entries.filter({ hasText: 'The cat' }).hover();
  await rail.getByRole('button', { name: 'Delete “The cat”' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
  await expect(entries).toHaveCount(1);
  await page.reload();
  await expect(entries).toHaveText(/My horse is called Thunder/);
});

test('a conversation of 2,000 messages opens fast, and typing in it is not slow', async ({ page }) => {
  await open(page);
  const turns = Array.from({ length: 1000 }, (_, i) => [
    said(`Question ${i + 1}: what about the *north* bed?`),
    answered(
      `Answer ${i + 1}: **water** it in the morning.\n\n- first the clay\n- then the herbs\n\n\`\`\`py\nprint(${i})\n\`\`\``,
    ),
  ]).flat();
  await plant(page, turns);
  await page.reload({ waitUntil: 'commit' });
  const last = page.getByText('Question 1000:');
  await expect(last).toBeInViewport();
  const openedMs = await page.evaluate(() => performance.now());
  expect(openedMs).toBeLessThan(4000);

  // The engine reads in the background, on all cores; the page must stay quick all the same: for half of the
  // keys as one types, and never frozen. (Any one key may wait for other programs of the machine.)
  await message(page).fill('');
  const keys = await page.evaluate(async () => {
    const box = document.querySelector<HTMLTextAreaElement>('#say')!;
    const shownMs: number[] = [];
    for (let i = 0; i < 31; ++i) {
      const started = performance.now();
      box.value += 'a';
      box.dispatchEvent(new InputEvent('input', { bubbles: true }));
      await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
      shownMs.push(performance.now() - started);
    }
    return shownMs.sort((a, b) => a - b);
  });
  expect(keys[15]).toBeLessThan(100);
  expect(keys[30]).toBeLessThan(500);

  await page.getByRole('region', { name: 'Conversation' }).evaluate((scroll) => {
    scroll.scrollTop = 0;
  });
  await expect(page.getByText('Question 1:', { exact: false }).first()).toBeInViewport();
  await expect(page.locator('.turn.ans .code').first()).toBeVisible(); // formatted as it comes into view
});

/** Waits until the page has put the memory of the conversation away. */
async function memoryKept(page: Page): Promise<void> {
  const count = () =>
    page.evaluate(async () => {
      const opened = indexedDB.open('strata-memory');
      const db = await new Promise<IDBDatabase>((done) => {
        opened.onsuccess = () => done(opened.result);
      });
      const found = db.transaction('snapshots').objectStore('snapshots').count(localStorage['strata.conversation']);
      const count = await new Promise<number>((done) => {
        found.onsuccess = () => done(found.result);
      });
      db.close();
      return count;
    });
  await expect.poll(count).toBe(1);
}

/** An error that nobody catches ends the worker, as running out of memory does. */
async function killEngine(page: Page): Promise<void> {
  const worker = page.workers().find((each) => /worker/.test(each.url()));
  if (!worker) throw new Error('The page has no engine worker.');
  await worker.evaluate(() => {
    setTimeout(() => {
      throw new Error('killed by the test');
    });
  });
}
