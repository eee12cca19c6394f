#!/usr/bin/env node
// Signs presenced in to an independent, certified OpenID provider: the npm package oidc-provider.
//
//     tests/compare/oidc.mjs [--presenced BINARY] [--changes 20]
//
// Needs node 20 or later, npm, and openssl. Installs the package into its own cache folder. The provider listens on loopback
// at Entra's paths, next to a minimal Graph that accepts its access tokens. A person signs in with a device code and in a
// browser, an application with a certificate (private_key_jwt). After each sign-in the daemon sets the presence many times,
// while each access token is valid for one request and each refresh token for one use. The exit code is 1 if a request is
// refused that should be accepted.

import { execFileSync, spawn } from 'node:child_process';
import { X509Certificate, createHash, createPrivateKey } from 'node:crypto';
import fs from 'node:fs';
import http from 'node:http';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';

const PACKAGE = 'oidc-provider@9.13.3';
const TENANT = 'contoso.onmicrosoft.com';
const USER = 'fa8bf3dc-eca7-46b7-bad1-db199b62afc3';
const PERSONS_APP = '22553876-f5ab-4529-bffb-cfe50aa89f87';
const BOT = '5d6bb1d1-1b0f-4a8f-9a4b-2f3a4f4e9c11';
const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');

const { values: options } = parseArgs({
  options: {
    presenced: { type: 'string', default: path.join(ROOT, 'target/release/presenced') },
    changes: { type: 'string', default: '20' },
  },
});
const changes = Number(options.changes);
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'presenced-oidc-'));
const children = new Set();
process.on('exit', () => {
  children.forEach((child) => child.kill('SIGKILL'));
  fs.rmSync(folder, { recursive: true });
});

async function provider() {
  const cache = path.join(process.env.XDG_CACHE_HOME ?? path.join(os.homedir(), '.cache'), 'presenced-compare/oidc');
  fs.mkdirSync(cache, { recursive: true });
  execFileSync('npm', ['install', '--no-save', '--no-audit', '--no-fund', '--silent', '--prefix', cache, PACKAGE]);
  // It prints advice for production use.
  console.info = () => {};
  console.warn = () => {};
  const { Provider } = await import(pathToFileURL(path.join(cache, 'node_modules/oidc-provider/lib/index.js')));
  return Provider;
}

function certificate() {
  const [key, cert] = ['bot.key', 'bot.pem'].map((name) => path.join(folder, name));
  execFileSync('openssl', [
    'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '90', '-subj', '/CN=presenced',
    '-keyout', key, '-out', cert,
  ], { stdio: 'ignore' });
  fs.chmodSync(key, 0o600);
  const der = new X509Certificate(fs.readFileSync(cert)).raw;
  return {
    key,
    cert,
    jwk: createPrivateKey(fs.readFileSync(key)).export({ format: 'jwk' }),
    thumbprint: createHash('sha256').update(der).digest('base64url'),
  };
}

// What the provider and the minimal Graph saw of the current sign-in.
const seen = { grants: {}, refused: [], presences: [], thumbprints: new Set() };

function serve(Provider, bot, base) {
  const write = `${base}/Presence.ReadWrite`;
  const oidc = new Provider(base, {
    clients: [
      {
        client_id: PERSONS_APP,
        application_type: 'native',
        token_endpoint_auth_method: 'none',
        grant_types: ['authorization_code', 'refresh_token', 'urn:ietf:params:oauth:grant-type:device_code'],
        redirect_uris: ['http://localhost'],
      },
      {
        client_id: BOT,
        token_endpoint_auth_method: 'private_key_jwt',
        token_endpoint_auth_signing_alg: 'PS256',
        grant_types: ['client_credentials'],
        response_types: [],
        redirect_uris: [],
        jwks: { keys: [{ kty: bot.jwk.kty, n: bot.jwk.n, e: bot.jwk.e, use: 'sig', alg: 'PS256' }] },
      },
    ],
    features: {
      deviceFlow: { enabled: true, mask: '****-****' },
      clientCredentials: { enabled: true },
      devInteractions: { enabled: true },
    },
    routes: {
      authorization: `/${TENANT}/oauth2/v2.0/authorize`,
      token: `/${TENANT}/oauth2/v2.0/token`,
      device_authorization: `/${TENANT}/oauth2/v2.0/devicecode`,
      code_verification: '/device',
    },
    scopes: ['openid', 'offline_access', write, `${base}/.default`],
    // Entra names the user in the id_token itself.
    claims: { openid: ['sub', 'oid', 'tid'], profile: ['preferred_username'] },
    conformIdTokenClaims: false,
    findAccount: (_, id) => ({
      accountId: id,
      claims: () => ({ sub: id, oid: USER, tid: '84841066-274d-4ec0-a5c1-276be684bdd3', preferred_username: id }),
    }),
    pkce: { required: () => true },
    rotateRefreshToken: true,
    assertJwtClientAuthClaimsAndHeader: (_ctx, _claims, header) => { seen.thumbprints.add(header['x5t#S256']); },
  });
  oidc.on('grant.success', (ctx) => {
    const grant = ctx.oidc.params.grant_type;
    seen.grants[grant] = (seen.grants[grant] ?? 0) + 1;
  });
  oidc.on('grant.error', (ctx, error) => {
    if (error.error !== 'authorization_pending') {
      seen.refused.push(`${ctx.oidc.params?.grant_type}: ${error.error}: ${error.error_description} ${error.error_detail ?? ''}`);
    }
  });
  oidc.on('authorization.error', (_ctx, error) => seen.refused.push(`authorize: ${error.error_description}`));
  oidc.on('device_authorization.error', (_ctx, error) => seen.refused.push(`device: ${error.error_description}`));
  oidc.on('server_error', (_ctx, error) => seen.refused.push(`server: ${error.stack}`));
  return oidc;
}

// The part of Graph that this needs. Each access token is valid for one request.
async function graph(oidc, base, request, response) {
  const chunks = await request.toArray();
  const bearer = request.headers.authorization?.replace(/^Bearer /, '') ?? '';
  const token = await oidc.AccessToken.find(bearer) ?? await oidc.ClientCredentials.find(bearer);
  const permits = token?.scope?.split(' ').some((scope) => [`${base}/Presence.ReadWrite`, `${base}/.default`].includes(scope));
  if (!permits) {
    response.writeHead(401, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ error: { code: 'InvalidAuthenticationToken', message: 'Access token is used up.' } }));
    return;
  }
  await token.destroy();
  if (request.url === `/v1.0/users/${USER}/presence/setPresence`) {
    seen.presences.push(JSON.parse(Buffer.concat(chunks).toString()).activity);
  }
  response.writeHead(200).end();
}

// A person at a browser: follows each page, fills in every form, and accepts.
async function browse(address) {
  const jar = new Map();
  let request = { url: new URL(address), method: 'GET' };
  for (let pages = 0; pages < 20; pages += 1) {
    const answer = await fetch(request.url, {
      method: request.method,
      body: request.body,
      redirect: 'manual',
      headers: { cookie: [...jar].map(([name, value]) => `${name}=${value}`).join('; ') },
    });
    answer.headers.getSetCookie().forEach((cookie) => {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(cookie);
      if (value) jar.set(name, value); else jar.delete(name);
    });
    const location = answer.headers.get('location');
    const page = await answer.text();
    if (location) {
      request = { url: new URL(location, request.url), method: 'GET' };
      continue;
    }
    const form = /<form[^>]*action="([^"]+)"[^>]*>([^]*?)<\/form>/.exec(page);
    if (!form) return page;
    const fields = new URLSearchParams();
    for (const [input] of form[2].matchAll(/<input[^>]*>/g)) {
      const of = (name) => new RegExp(`\\b${name}="([^"]*)"`).exec(input)?.[1];
      const filled = { login: 'me@contoso.onmicrosoft.com', password: 'any' }[of('name')];
      if (of('name') && of('type') !== 'submit') fields.set(of('name'), filled ?? of('value') ?? '');
    }
    request = { url: new URL(form[1], request.url), method: 'POST', body: fields };
  }
  throw new Error(`${address} leads to no last page`);
}

// presenced with its own home folder. `watch` gets the output so far, each time there is more.
function presenced(name, args, watch = () => {}) {
  const home = path.join(folder, name);
  const child = spawn(options.presenced, ['--config', path.join(home, 'config.toml'), ...args], {
    env: { PATH: `${path.join(folder, 'bin')}:${process.env.PATH}`, HOME: home, XDG_RUNTIME_DIR: home, NO_COLOR: '1' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  children.add(child);
  let said = '';
  const take = (chunk) => { said += chunk; watch(said); };
  child.stdout.on('data', take);
  child.stderr.on('data', take);
  const ended = new Promise((resolve) => {
    child.on('exit', (code) => { children.delete(child); resolve({ code, said }); });
  });
  return { child, ended };
}

function configure(name, base, clientId, auth) {
  const home = path.join(folder, name);
  fs.mkdirSync(home, { mode: 0o700 });
  fs.writeFileSync(path.join(home, 'call'), 'idle');
  fs.writeFileSync(path.join(home, 'config.toml'), `
[accounts.work]
tenant    = "${TENANT}"
client_id = "${clientId}"
user      = "${USER}"
auth      = ${auth}
endpoints = { graph = "${base}/v1.0", login = "${base}" }

[signals.lock]
enabled = false

[signals.call]
path = "call"
`);
  return home;
}

function until(what, condition) {
  return new Promise((resolve, reject) => {
    const end = setTimeout(() => reject(new Error(`waited too long for ${what}`)), 60_000);
    const look = setInterval(() => {
      if (!condition()) return;
      clearInterval(look);
      clearTimeout(end);
      resolve();
    }, 5);
  });
}

// The daemon follows one call after another. Each change needs a new token.
async function live(name, home) {
  const daemon = presenced(name, ['run']);
  await until('the first presence', () => seen.presences.length > 0);
  for (let change = 0; change < changes; change += 1) {
    const before = seen.presences.length;
    const next = path.join(home, '.call');
    fs.writeFileSync(next, change % 2 === 0 ? 'in-call' : 'conference');
    fs.renameSync(next, path.join(home, 'call'));
    await until(`change ${change}`, () => seen.presences.length > before);
  }
  daemon.child.kill('SIGTERM');
  const { code, said } = await daemon.ended;
  if (code !== 0) throw new Error(`the daemon ended with ${code}:\n${said}`);
}

async function method(name, base, clientId, auth, signIn) {
  Object.assign(seen, { grants: {}, refused: [], presences: [], thumbprints: new Set() });
  const home = configure(name, base, clientId, auth);
  const { code, said } = await signIn();
  if (code !== 0) throw new Error(`${name}: login ended with ${code}:\n${said}\n${seen.refused.join('\n')}`);
  await live(name, home);
  const grants = Object.entries(seen.grants).map(([grant, count]) => `${grant.replace(/.*:/, '')} ${count}`).join(', ');
  console.log(`${name}: ${said.split('\n').find((line) => /^Signed in|does not need a sign-in/.test(line))}`);
  console.log(`${' '.repeat(name.length)}  granted: ${grants}; presences set: ${seen.presences.length}; refused: ${seen.refused.length}`);
  if (seen.refused.length > 0) throw new Error(seen.refused.join('\n'));
}

const Provider = await provider();
const bot = certificate();
const server = http.createServer();
await new Promise((resolve) => { server.listen(0, '127.0.0.1', resolve); });
const base = `http://127.0.0.1:${server.address().port}`;
const oidc = serve(Provider, bot, base);
const answer = oidc.callback();
server.on('request', (request, response) => {
  if (request.url.startsWith('/v1.0/')) graph(oidc, base, request, response); else answer(request, response);
});

// The browser that presenced opens only writes down its address.
fs.mkdirSync(path.join(folder, 'bin'));
fs.writeFileSync(path.join(folder, 'bin/xdg-open'), `#!/bin/sh\nprintf '%s' "$1" > '${folder}/opened.new'\nmv '${folder}/opened.new' '${folder}/opened'\n`, { mode: 0o755 });

await method('device code', base, PERSONS_APP, '{ method = "device-code" }', () => {
  let typed = false;
  return presenced('device code', ['login'], (said) => {
    const code = /\b[A-Z]{4}-[A-Z]{4}\b/.exec(said)?.[0];
    const page = /http:\S+\/device\S*/.exec(said)?.[0];
    if (code && page && !typed) {
      typed = true;
      browse(`${page}?user_code=${code}`).catch((error) => { throw error; });
    }
  }).ended;
});

await method('browser', base, PERSONS_APP, '{ method = "browser" }', async () => {
  const login = presenced('browser', ['login']);
  await until('a browser', () => fs.existsSync(path.join(folder, 'opened')));
  const address = new URL(fs.readFileSync(path.join(folder, 'opened'), 'utf8'));
  // For Entra the scope is enough; this provider needs the prompt, as OpenID Connect Core (11) requires.
  address.searchParams.set('prompt', 'consent');
  await browse(address);
  return login.ended;
});

await method(
  'certificate', base, BOT,
  `{ method = "client-certificate", certificate = "${bot.cert}", key = { file = "${bot.key}" } }`,
  () => presenced('certificate', ['login']).ended,
);
if (seen.thumbprints.size !== 1 || !seen.thumbprints.has(bot.thumbprint)) {
  throw new Error(`the certificate's thumbprint is not in the assertions: ${[...seen.thumbprints]}`);
}
process.exit(0);
