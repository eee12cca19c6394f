// What the Node scripts share: the emulator's address, a person at the browser, and a line for each flow.

export const EMULATOR = process.env.EMULATOR;
// Another one, whose application is a web server.
export const WEB = process.env.WEB;
export const TENANT = 'contoso.onmicrosoft.com';
export const APP = '22553876-f5ab-4529-bffb-cfe50aa89f87';
export const SECRET = 'emulator-secret';
export const USER = 'fa8bf3dc-eca7-46b7-bad1-db199b62afc3';
// The key and the certificate of the application, in PEM.
export const CERTIFICATE = process.env.CERTIFICATE;

/** Prints whether `work` succeeds. */
export async function flow(name, work) {
  try {
    await work();
    console.log(`ok      ${name}`);
  } catch (error) {
    process.exitCode = 1;
    console.log(`FAILED  ${name}: ${String(error?.stack ?? error).replace(/\s+/g, ' ').slice(0, 600)}`);
  }
}

async function sent(url, options) {
  const answer = await fetch(url, options);
  if (answer.status >= 400) throw new Error(`${url} answers ${answer.status}: ${await answer.text()}`);
  return answer;
}

/** The proof that a token is good: it sets a presence. */
export async function setPresence(token, emulator = EMULATOR) {
  const body = { sessionId: APP, availability: 'Busy', activity: 'InACall', expirationDuration: 'PT5M' };
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
  const url = `${emulator}/v1.0/users/${USER}/presence/setPresence`;
  await sent(url, { method: 'POST', headers, body: JSON.stringify(body) });
}

/** A person types the code of a device and agrees. */
export async function approveDevice(userCode) {
  await sent(`${EMULATOR}/_emulator/device/${userCode}/approve`, { method: 'POST' });
}

const unescaped = (text) =>
  text.replaceAll('&quot;', '"').replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&amp;', '&');

/** A person opens the page and agrees. Gives the address that the browser is sent to, and the answer for it. */
export async function approveInBrowser(page) {
  const [, decision] = (await (await sent(page)).text()).match(/action="(\/_emulator\/consent\/[^"]+\/approve)"/);
  const answer = await sent(new URL(decision, page), { method: 'POST', redirect: 'manual' });
  if (answer.status === 302) {
    const address = new URL(answer.headers.get('location'));
    return { address, answer: address.searchParams };
  }
  const form = await answer.text();
  const inputs = [...form.matchAll(/<input type="hidden" name="([^"]+)" value="([^"]*)">/g)];
  const address = unescaped(form.match(/<form method="post" action="([^"]+)"/)[1]);
  return { address, answer: new URLSearchParams(inputs.map(([, name, value]) => [name, unescaped(value)])) };
}
