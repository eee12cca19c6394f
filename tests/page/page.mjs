// The emulator's page in Chromium. EMULATOR is an emulator with one user; CROWD has 3,000 users and runs 60 times as fast.

import assert from 'node:assert/strict';
import { chromium } from 'playwright-core';

const { EMULATOR, CROWD, CHROMIUM, PROFILE } = process.env;
const USER = 'fa8bf3dc-eca7-46b7-bad1-db199b62afc3';
const APP = '22553876-f5ab-4529-bffb-cfe50aa89f87';

// A client of Graph at one of the emulators.
async function graph(emulator) {
  const form = { grant_type: 'client_credentials', client_id: APP, client_secret: 'emulator-secret', scope: 'https://graph.microsoft.com/.default' };
  const signedIn = await fetch(`${emulator}/contoso.onmicrosoft.com/oauth2/v2.0/token`, { method: 'POST', body: new URLSearchParams(form) });
  const { access_token: token } = await signedIn.json();
  return async (action, body, user = USER) => {
    const answer = await fetch(`${emulator}/v1.0/users/${user}/presence/${action}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    return answer.status;
  };
}

const set = (availability, activity) => ({ sessionId: APP, availability, activity, expirationDuration: 'PT15M' });

const browser = await chromium.launchPersistentContext(PROFILE, {
  executablePath: CHROMIUM,
  headless: true,
  viewport: { width: 360, height: 800 },
  args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync'],
});
browser.setDefaultTimeout(30_000);

// Opens the page of an emulator. Everything that it asks for, and everything that goes wrong in it, is noted.
const asked = new Set();
const wrong = [];
async function open(emulator) {
  const page = await browser.newPage();
  page.on('request', (request) => asked.add(new URL(request.url()).origin));
  page.on('console', (message) => ['error', 'warning'].includes(message.type()) && wrong.push(message.text()));
  page.on('pageerror', (error) => wrong.push(String(error)));
  await page.goto(`${emulator}/`);
  await page.getByText('Live.', { exact: true }).waitFor();
  return page;
}

// Presses Tab until a button of this name has the focus.
async function tabTo(page, name) {
  for (let pressed = 0; pressed < 40; pressed += 1) {
    await page.keyboard.press('Tab');
    if ((await page.evaluate(() => document.activeElement.textContent)) === name) return;
  }
  assert.fail(`Tab does not reach the button "${name}"`);
}

const doesNotScrollSideways = async (page) =>
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth), 0);

const tests = {
  async 'a presence is seen when it is set, with its reason and its clocks'(page, call) {
    assert.equal(await call('setPresence', set('Available', 'Available')), 200);
    await page.getByText('Others see ● Available').waitFor();
    await page.getByText('It is the only session.').waitFor();
    const row = page.getByRole('table', { name: /^Sessions of / }).getByRole('row').filter({ hasText: APP });
    await row.getByText('wins', { exact: true }).waitFor();
    await row.getByText(/^to inactive in 4 min \d\d s/).waitFor();
    await row.getByText(/^in 14 min \d\d s/).waitFor();
    const cell = row.getByRole('cell').last();
    const before = await cell.textContent();
    await page.waitForFunction(([element, text]) => element.textContent !== text, [await cell.elementHandle(), before]);
  },

  async 'the preferred presence wins, and the session is still there'(page, call) {
    const preferred = { availability: 'DoNotDisturb', activity: 'DoNotDisturb', expirationDuration: 'PT1H' };
    assert.equal(await call('setUserPreferredPresence', preferred), 200);
    await page.getByText('Others see ● DoNotDisturb').waitFor();
    await page.getByText('The preferred presence hides all sessions.').waitFor();
    await page.getByText(/^Preferred: ● DoNotDisturb, expires in 59 min/).waitFor();
  },

  async 'the button for 429 works with the keyboard, keeps the focus, and is taken back'(page, call) {
    await tabTo(page, '429 for a minute');
    assert.notEqual(await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle), 'none');
    await page.keyboard.press('Enter');
    await page.getByText('Done: 429 for a minute.').waitFor();
    await page.getByText(/^graph: for /).waitFor();
    assert.equal(await call('setPresence', set('Busy', 'InACall')), 429);
    const newest = page.getByRole('table', { name: /^Last requests/ }).getByRole('row').nth(1);
    await newest.filter({ hasText: '429TooManyRequests' }).waitFor();
    assert.equal(await page.evaluate(() => document.activeElement.textContent), '429 for a minute');
    await tabTo(page, 'Remove all faults');
    await page.keyboard.press('Space');
    await page.getByText('Done: Remove all faults.').waitFor();
    await page.getByText('None.').waitFor();
    assert.equal(await call('setPresence', set('Busy', 'InACall')), 200);
    await newest.filter({ hasText: 'DoNotDisturb' }).filter({ hasText: '200' }).waitFor();
  },

  async 'each button injects what the emulator accepts'(page) {
    const buttons = page.locator('#buttons button');
    for (const button of await buttons.all()) {
      const name = await button.textContent();
      await button.click();
      await page.getByText(`Done: ${name}.`, { exact: true }).waitFor();
    }
    assert.equal(await buttons.count(), 11);
    await page.getByText('None.').waitFor();
  },

  async 'text of a request is never HTML'(page) {
    const answer = await fetch(`${EMULATOR}/_emulator/users/${USER}/sessions`, {
      method: 'POST',
      body: JSON.stringify({ name: '<img src=x onerror=alert(1)>', availability: 'Busy', activity: '<b id=injected>' }),
    });
    assert.equal(answer.status, 204);
    await page.getByText('<img src=x onerror=alert(1)> (another client)').waitFor();
    assert.equal(await page.locator('#injected, main img').count(), 0);
  },

  async 'nothing scrolls sideways, at 360 pixels and at 1200, light and dark'(page) {
    // The buttons have ended all sign-ins.
    const call = await graph(EMULATOR);
    await call('clearUserPreferredPresence', {});
    await call('setPresence', set('Available', 'Available'));
    const client = { name: 'phone', availability: 'Available', fades: true };
    await fetch(`${EMULATOR}/_emulator/users/${USER}/sessions`, { method: 'POST', body: JSON.stringify(client) });
    const fault = { call: 'batch', at: '1h', for: '10m', then: { parts: 'missing' } };
    await fetch(`${EMULATOR}/_emulator/faults`, { method: 'POST', body: JSON.stringify([fault, { call: 'other', then: { respond: { status: 502 } } }]) });
    await page.getByText('other: then answer 502').waitFor();
    for (const [width, colorScheme] of [[360, 'light'], [360, 'dark'], [1200, 'light'], [1200, 'dark']]) {
      await page.setViewportSize({ width, height: 800 });
      await page.emulateMedia({ colorScheme });
      await doesNotScrollSideways(page);
      await page.evaluate(() => scrollTo(0, 0));
      await page.screenshot({ path: new URL(`page-${width}-${colorScheme}.png`, import.meta.url).pathname, fullPage: true });
    }
  },

  async 'of 3,000 users the first 20 are shown, or the one that is asked for'() {
    const page = await open(CROWD);
    const call = await graph(CROWD);
    await page.getByText(/^3000 users: 3000 Offline.* The first 20 are below\.$/).waitFor();
    assert.equal(await page.getByRole('article').count(), 20);
    const users = await (await fetch(`${CROWD}/_emulator/users`)).text();
    const [id, name] = users.trim().split('\n').at(-1).split(' ');
    await page.getByLabel('Object id or principal name of one user').fill('nobody');
    await page.keyboard.press('Enter');
    await page.getByText('no user has the id `nobody`').waitFor();
    await page.getByLabel('Object id or principal name of one user').fill(`${name}@contoso.onmicrosoft.com`);
    await page.keyboard.press('Enter');
    await page.getByRole('article').filter({ hasText: id }).waitFor();
    assert.equal(await page.getByRole('article').count(), 1);
    // The clock is fast: ten minutes are ten seconds here.
    assert.equal(await call('setPresence', { ...set('Available', 'Available'), expirationDuration: 'PT4H' }, id), 200);
    await page.getByText('Others see ● Away').waitFor();
    await page.getByText('faded to Away').waitFor();
    await page.getByText(/, (5[5-9]|6[0-5]) times real time$/).waitFor();
    await page.setViewportSize({ width: 360, height: 800 });
    await doesNotScrollSideways(page);
    await page.screenshot({ path: new URL('page-crowd.png', import.meta.url).pathname });
    await page.getByRole('button', { name: 'Show the first again' }).click();
    await page.getByRole('article').nth(19).waitFor();
    await page.close();
  },

  async 'nobody but the emulators was asked, and nothing went wrong'() {
    assert.deepEqual([...asked].sort(), [EMULATOR, CROWD].sort());
    // The browser reports each answer that is an error. The only one is the user who does not exist.
    assert.deepEqual(wrong.filter((text) => !text.includes('404')), []);
    assert.equal(wrong.length, 1);
  },
};

let failed = false;
try {
  const page = await open(EMULATOR);
  const call = await graph(EMULATOR);
  for (const [name, test] of Object.entries(tests)) {
    try {
      await test(page, call);
      console.log(`ok    ${name}`);
    } catch (error) {
      failed = true;
      console.log(`FAIL  ${name}\n${error.stack}`);
      await page.screenshot({ path: new URL('failed.png', import.meta.url).pathname, fullPage: true });
    }
  }
} finally {
  await browser.close();
}
process.exit(failed ? 1 : 0);
