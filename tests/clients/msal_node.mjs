// MSAL Node.

import assert from 'node:assert/strict';
import { createHash, X509Certificate } from 'node:crypto';
import fs from 'node:fs';

import { ConfidentialClientApplication, CryptoProvider, PublicClientApplication } from '@azure/msal-node';

import { APP, approveDevice, approveInBrowser, CERTIFICATE, EMULATOR, flow, SECRET, setPresence, TENANT, WEB } from './flow.mjs';

const scopes = ['https://graph.microsoft.com/.default'];
const delegated = ['https://graph.microsoft.com/Presence.ReadWrite'];
const redirectUri = 'http://localhost:8400';
// `knownAuthorities`: the authority is not one of Microsoft's.
const where = { clientId: APP, authority: `${EMULATOR}/${TENANT}`, knownAuthorities: [new URL(EMULATOR).host] };
const confidential = (proof) => new ConfidentialClientApplication({ auth: { ...where, ...proof } });
const open = () => new PublicClientApplication({ auth: where });

await flow('msal-node: client secret', async () => {
  const app = confidential({ clientSecret: SECRET });
  const first = await app.acquireTokenByClientCredential({ scopes });
  await setPresence(first.accessToken);
  const second = await app.acquireTokenByClientCredential({ scopes });
  assert(second.fromCache && second.accessToken === first.accessToken, 'from the cache');
});
await flow('msal-node: a wrong secret is refused', async () => {
  const asked = confidential({ clientSecret: 'wrong' }).acquireTokenByClientCredential({ scopes });
  await assert.rejects(asked, /7000215/);
});

const pem = fs.readFileSync(CERTIFICATE, 'utf8');
const x5c = pem.slice(pem.indexOf('-----BEGIN CERTIFICATE-----'));
const privateKey = pem.slice(0, pem.length - x5c.length);
const thumbprint = (digest) => createHash(digest).update(new X509Certificate(pem).raw).digest('hex');
for (const [name, clientCertificate] of Object.entries({
  'SHA-1 thumbprint': { thumbprint: thumbprint('sha1'), privateKey },
  'SHA-256 thumbprint': { thumbprintSha256: thumbprint('sha256'), privateKey },
  'SHA-256 thumbprint and x5c': { thumbprintSha256: thumbprint('sha256'), privateKey, x5c },
})) {
  await flow(`msal-node: certificate, ${name}`, async () => {
    const app = confidential({ clientCertificate });
    await setPresence((await app.acquireTokenByClientCredential({ scopes })).accessToken);
  });
}

await flow('msal-node: device code, then silent and refresh', async () => {
  const app = open();
  const deviceCodeCallback = (started) => approveDevice(started.userCode);
  const first = await app.acquireTokenByDeviceCode({ scopes: delegated, deviceCodeCallback });
  await setPresence(first.accessToken);
  assert.equal(first.account.username, 'me@contoso.onmicrosoft.com');
  const silent = await app.acquireTokenSilent({ scopes: delegated, account: first.account });
  assert(silent.fromCache && silent.accessToken === first.accessToken, 'silent');
  const renewed = await app.acquireTokenSilent({ scopes: delegated, account: first.account, forceRefresh: true });
  assert.notEqual(renewed.accessToken, first.accessToken);
  await setPresence(renewed.accessToken);
});
for (const responseMode of ['query', 'form_post']) {
  await flow(`msal-node: authorization code, PKCE, ${responseMode}`, async () => {
    const app = open();
    const { verifier, challenge } = await new CryptoProvider().generatePkceCodes();
    const request = { scopes: delegated, redirectUri, responseMode, nonce: 'a nonce', state: 'a & "state"' };
    const page = await app.getAuthCodeUrl({ ...request, codeChallenge: challenge, codeChallengeMethod: 'S256' });
    const { answer } = await approveInBrowser(page);
    const [code, state] = [answer.get('code'), answer.get('state')];
    const redeemed = { ...request, code, codeVerifier: verifier };
    const got = await app.acquireTokenByCode(redeemed, { nonce: 'a nonce', code, state });
    assert.equal(got.idTokenClaims.nonce, 'a nonce');
    await setPresence(got.accessToken);
  });
}
if (WEB) {
  await flow('msal-node: authorization code of a web server, with its secret', async () => {
    const authority = { authority: `${WEB}/${TENANT}`, knownAuthorities: [new URL(WEB).host] };
    const app = confidential({ ...authority, clientSecret: SECRET });
    const request = { scopes: delegated, redirectUri: 'https://app.example/signed-in' };
    const { answer } = await approveInBrowser(await app.getAuthCodeUrl(request));
    await setPresence((await app.acquireTokenByCode({ ...request, code: answer.get('code') })).accessToken, WEB);
  });
}
await flow('msal-node: interactive', async () => {
  const openBrowser = async (page) => {
    const { address, answer } = await approveInBrowser(page);
    await fetch(address, { method: 'POST', body: answer });
  };
  await setPresence((await open().acquireTokenInteractive({ scopes: delegated, openBrowser })).accessToken);
});
