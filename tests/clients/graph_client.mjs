// The Graph client for JavaScript: each call about presences.

import assert from 'node:assert/strict';

import { ConfidentialClientApplication } from '@azure/msal-node';
import { Client } from '@microsoft/microsoft-graph-client';

import { APP, EMULATOR, flow, SECRET, TENANT, USER } from './flow.mjs';

const { host, hostname } = new URL(EMULATOR);
const app = new ConfidentialClientApplication({
  auth: { clientId: APP, clientSecret: SECRET, authority: `${EMULATOR}/${TENANT}`, knownAuthorities: [host] },
});
const scopes = ['https://graph.microsoft.com/.default'];
const getAccessToken = async () => (await app.acquireTokenByClientCredential({ scopes })).accessToken;
const graph = Client.initWithMiddleware({
  authProvider: { getAccessToken },
  baseUrl: `${EMULATOR}/`,
  customHosts: new Set([hostname]),
});
const presence = (action = '') => graph.api(`/users/${USER}/presence${action}`);
const seen = async () => (await presence().get()).availability;

await flow('graph-client: set', () =>
  presence('/setPresence').post({
    sessionId: APP, availability: 'Available', activity: 'Available', expirationDuration: 'PT1H',
  }));
await flow('graph-client: read', async () => assert.equal(await seen(), 'Available'));
await flow('graph-client: preferred presence', async () => {
  await presence('/setUserPreferredPresence').post({
    availability: 'BeRightBack', activity: 'BeRightBack', expirationDuration: 'PT8H',
  });
  assert.equal(await seen(), 'BeRightBack');
});
await flow('graph-client: clear the preferred presence', async () => {
  await presence('/clearUserPreferredPresence').post({});
  assert.equal(await seen(), 'Available');
});
await flow('graph-client: status message', async () => {
  const message = { content: 'Back tomorrow', contentType: 'text' };
  const expiryDateTime = { dateTime: new Date(Date.now() + 86_400_000).toISOString().slice(0, 19), timeZone: 'UTC' };
  await presence('/setStatusMessage').post({ statusMessage: { message, expiryDateTime } });
  assert.equal((await presence().get()).statusMessage?.message.content, 'Back tomorrow');
});
await flow('graph-client: getPresencesByUserId', async () => {
  const read = await graph.api('/communications/getPresencesByUserId').post({ ids: [USER] });
  assert.deepEqual(read.value.map((one) => one.availability), ['Available']);
});
await flow('graph-client: batch', async () => {
  const requests = [{ id: '1', method: 'GET', url: `/users/${USER}/presence` }];
  const { responses } = await graph.api('/$batch').post({ requests });
  assert.deepEqual(responses.map((one) => one.status), [200]);
});
await flow('graph-client: clear', async () => {
  await presence('/clearPresence').post({ sessionId: APP });
  assert.equal(await seen(), 'Offline');
});
