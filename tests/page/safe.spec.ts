// A model's words are not trusted: whatever markdown or HTML an answer holds, nothing runs and nothing is fetched.
import { expect, test } from '@playwright/test';
import { answered, open, plant, said } from './page';

const hostile = [
  '<script>window.pwned = 1</script>',
  '<img src=x onerror="window.pwned = 2">',
  '[click](javascript:window.pwned=3) and [data](data:text/html,<script>window.pwned=4</script>)',
  '<svg><animate onbegin="window.pwned=5" attributeName=x dur=1s></svg>',
  '<iframe srcdoc="<script>parent.pwned=6</script>"></iframe>',
  '![picture](http://203.0.113.7/track.png "title")',
  '<style>body { display: none }</style><div style="position:fixed;inset:0">over everything</div>',
  '[good](https://example.org/page)',
  '```html\n<script>window.pwned = 7</script>\n```',
  '<a href="vbscript:x" onclick="window.pwned=8">a</a> <form action="//203.0.113.7"><input autofocus onfocus="window.pwned=9"></form>',
].join('\n\n');

test('hostile markdown is inert', async ({ page }) => {
  await open(page);
  await plant(page, [said(`<img src=x onerror="window.pwned = 10">`), answered(hostile)], '<b>title</b>');
  const foreign: string[] = [];
  const origin = new URL(page.url()).origin;
  page.on('request', (request) => {
    if (!request.url().startsWith(origin) && !request.url().startsWith('blob:')) foreign.push(request.url());
  });
  await page.reload();
  const answer = page.locator('.turn.ans .text');
  await expect(answer.locator('.code')).toHaveCount(1);
  await answer
    .locator('a', { hasText: 'click' })
    .click({ timeout: 500 })
    .catch(() => {}); // there is no such link
  await page.waitForTimeout(300);

  expect(await page.evaluate(() => (window as unknown as { pwned?: number }).pwned)).toBeUndefined();
  expect(foreign).toEqual([]);
  const found = await page.locator('.turns').evaluate((turns) => ({
    elements: turns.querySelectorAll('.text :is(script, img, svg, iframe, style, form, input, object, embed)').length,
    handlers: [...turns.querySelectorAll('*')].filter((element) =>
      element.getAttributeNames().some((name) => name.startsWith('on')),
    ).length,
    styled: turns.querySelectorAll('.text [style]').length,
    links: [...turns.querySelectorAll<HTMLAnchorElement>('.text a')].map(({ href, rel, target }) => ({
      href,
      rel,
      target,
    })),
  }));
  expect(found.elements).toBe(0);
  expect(found.handlers).toBe(0);
  expect(found.styled).toBe(0);
  expect(found.links).toEqual([
    { href: 'http://203.0.113.7/track.png', rel: 'noopener noreferrer', target: '_blank' },
    { href: 'https://example.org/page', rel: 'noopener noreferrer', target: '_blank' },
  ]);
  await expect(page.locator('.turn.you .said')).toHaveText('<img src=x onerror="window.pwned = 10">');
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('<b>title</b>');
});

test('the policy of the page allows no inline script', async ({ page }) => {
  await open(page);
  const ran = await page.evaluate(() => {
    const script = document.createElement('script');
    script.textContent = 'window.inlineRan = true';
    document.body.append(script);
    return 'inlineRan' in window;
  });
  expect(ran).toBe(false);
});
