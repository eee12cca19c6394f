// Shows what /_emulator/events sends. All text from requests goes through textContent or createTextNode, never through HTML.
'use strict';

const byId = (id) => document.getElementById(id);

// A new element with a class and children: elements, or text.
function make(tag, className, ...children) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(...children);
  return element;
}

// ── The emulator's clock ──

// What the last event said, when that was here, and how many times faster than here the clock runs.
let clock = null;

function setClock(time) {
  const here = performance.now();
  const passed = clock ? here - clock.here : 0;
  let rate = clock?.rate ?? 1;
  // Events that were held up arrive together, and say nothing about the speed.
  if (passed > 200) {
    const measured = (time - clock.time) / passed;
    const isClose = Math.abs(measured / rate - 1) < 0.3;
    rate += (measured - rate) * (isClose ? Math.min(1, passed / 5000) : 1);
  }
  clock = { time, here, rate };
}

const emulatorNow = () => clock.time + (performance.now() - clock.here) * clock.rate;

const timeOfDay = (time) => new Date(time).toISOString().slice(11, 19);

function duration(milliseconds) {
  const seconds = Math.max(0, Math.ceil(milliseconds / 1000));
  const two = (number) => String(number).padStart(2, '0');
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
  if (hours > 0) return `${hours} h ${two(minutes)} min`;
  return minutes > 0 ? `${minutes} min ${two(seconds % 60)} s` : `${seconds} s`;
}

// Text and a bar that count down to `end`. `tick` moves them.
function countdown(before, end, start) {
  const left = make('span', 'left');
  left.dataset.end = Date.parse(end);
  const parts = [before, left];
  if (start) {
    const bar = make('progress');
    bar.max = Date.parse(end) - Date.parse(start);
    bar.dataset.end = left.dataset.end;
    bar.setAttribute('aria-hidden', 'true');
    parts.push(bar);
  }
  return parts;
}

function tick() {
  if (!clock) return;
  const now = emulatorNow();
  const speed = clock.rate > 1.2 || clock.rate < 0.8 ? `, ${Number(clock.rate.toPrecision(2))} times real time` : '';
  byId('clock').textContent = `Its clock: ${timeOfDay(now)} UTC${speed}`;
  for (const element of document.querySelectorAll('[data-end]')) {
    const left = element.dataset.end - now;
    if (element.tagName === 'PROGRESS') element.value = Math.max(0, left);
    else element.textContent = duration(left);
  }
}

// ── Tables ──

// A table. A row is { className, cells }; a cell is a list of elements and text. The roles keep it a table where the style makes
// blocks of its rows.
function table(label, columns, rows) {
  const role = (name, element) => {
    element.setAttribute('role', name);
    return element;
  };
  const head = columns.map((column) => {
    const cell = role('columnheader', make('th', '', column));
    cell.scope = 'col';
    return cell;
  });
  const body = rows.map(({ className, cells }) =>
    role('row', make('tr', className, ...cells.map((parts, place) => {
      // On a narrow screen a cell is two columns: its name and one element.
      const cell = role('cell', make('td', '', ...(parts.length ? [make('div', '', ...parts)] : [])));
      cell.dataset.column = columns[place];
      return cell;
    }))));
  const whole = role('table', make('table', '',
    role('rowgroup', make('thead', '', role('row', make('tr', '', ...head)))),
    role('rowgroup', make('tbody', '', ...body))));
  whole.setAttribute('aria-label', label);
  return whole;
}

// ── Users ──

const pair = ({ availability, activity }) => (availability === activity ? availability : `${availability} / ${activity}`);

const seen = (presence) => make('span', presence.availability, `● ${pair(presence)}`);

const REASONS = {
  'no-session': 'There is no session.',
  preferred: 'The preferred presence hides all sessions.',
  'only-session': 'It is the only session.',
  strongest: 'The winning session has the strongest availability.',
  'not-faded': 'Of the sessions with the strongest availability, the winning one has not faded.',
  'set-last': 'Of equally strong sessions, the winning one was set last.',
};

function fade(session, now) {
  if (!session.fades_at) return [session.application && session.set.availability === 'Available' ? 'expires first' : 'does not fade'];
  if (Date.parse(session.fades_at) > now) return countdown('to inactive in ', session.fades_at, session.set_at);
  if (!session.away_at) return ['inactive; expires before Away'];
  if (Date.parse(session.away_at) > now) return countdown('to Away in ', session.away_at, session.fades_at);
  return ['faded to Away'];
}

function sessionRow([id, session], user, now) {
  const name = session.application ? `${id} (application)` : `${id} (another client)`;
  const wins = id === user.winner;
  const badge = wins ? [' ', make('span', 'badge', user.preferred ? 'would win' : 'wins')] : [];
  return {
    className: wins ? 'wins' : '',
    cells: [
      [make('small', '', name), ...badge],
      [pair(session.set)],
      [seen(session.now)],
      fade(session, now),
      session.expires_at ? countdown('in ', session.expires_at, session.set_at) : ['when its client ends it'],
    ],
  };
}

function userCard(id, user, now) {
  const sessions = Object.entries(user.sessions);
  const card = make('article', 'user',
    make('h3', '', user.principal_name, ' ', make('span', 'id', id)),
    make('p', 'seen', 'Others see ', seen(user.visible)),
    make('p', 'why', REASONS[user.reason], ` Since ${timeOfDay(Date.parse(user.since))} UTC.`));
  if (user.preferred) {
    const effect = sessions.length ? [' ', make('span', 'badge', 'wins')] : ['. It has no effect without a session.'];
    card.append(make('p', '', 'Preferred: ', seen(user.preferred), ...countdown(', expires in ', user.preferred.expires_at), ...effect));
  }
  const message = user.status_message?.message?.content;
  if (message) card.append(make('p', '', `Status message: ${message}`));
  if (sessions.length) {
    const rows = sessions.map((session) => sessionRow(session, user, now));
    card.append(table(`Sessions of ${user.principal_name}`, ['Session', 'Set to', 'Counts as', 'Fades', 'Expires'], rows));
  }
  return card;
}

function showUsers({ users = {}, summary, time }) {
  const count = Object.keys(users).length;
  const by = Object.entries(summary.visible).map(([presence, number]) => `${number} ${presence.replace('/', ' / ')}`);
  const first = count < summary.users && !shown ? ` The first ${count} are below.` : '';
  byId('summary').textContent =
    summary.users === 1 ? '' : `${summary.users} users: ${by.join(', ')}. Fades: ${summary.fades}. Expired sessions: ${summary.expired}.${first}`;
  byId('search').hidden = count === summary.users && !shown;
  const now = Date.parse(time);
  byId('users').replaceChildren(...Object.entries(users).map(([id, user]) => userCard(id, user, now)));
}

// ── Requests ──

// Ids are long, and their first digits tell them apart.
const shortened = (path) => path.replace(/([0-9a-f]{8})-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/gi, '$1…');

// A path, which may continue on another line before each slash.
const pathParts = (path) => shortened(path).split(/(?=\/)/).flatMap((part) => [make('wbr'), part]);

function requestRow(request, names) {
  const answer = request.status ?? { pending: 'no answer yet', reset: 'reset', hung: 'never answered' }[request.outcome];
  const failed = !(request.status < 400) && request.outcome !== 'pending';
  return {
    cells: [
      [timeOfDay(Date.parse(request.at))],
      [request.call, request.batch ? ' in a batch' : '', make('small', 'path', `${request.method} `, ...pathParts(request.path))],
      [make('span', failed ? 'bad' : '', String(answer)), make('small', 'path', request.code ?? '')],
      request.visible ? [seen(request.visible), make('small', 'path', names[request.user]?.principal_name ?? request.user)] : [],
    ],
  };
}

function showRequests(requests, names = {}) {
  byId('requests').replaceChildren(requests.length
    ? table('Last requests, newest first', ['Time (UTC)', 'Call', 'Answer', 'Others see'], requests.map((request) => requestRow(request, names)))
    : make('p', '', 'No request has arrived yet.'));
}

// ── Faults ──

const respond = (status, seconds) => ({ respond: { status, headers: { 'Retry-After': String(seconds) } } });

const BUTTONS = [
  ['429 for a minute', [{ call: 'graph', for: '1m', then: respond(429, 10) }]],
  ['503 for a minute', [{ call: 'graph', for: '1m', then: respond(503, 10) }]],
  ['Reset for a minute', [{ for: '1m', then: 'reset' }]],
  ['Hang the next request', [{ times: 1, then: 'hang' }]],
  ['Lose the next answer', [{ call: 'graph', times: 1, applied: true, then: 'reset' }]],
  ['Delay by 5 s for a minute', [{ for: '1m', delay: '5s' }]],
  ['Refuse tokens for a minute', ['token', 'device-code'].map((call) => ({ call, for: '1m', then: { aadsts: 53003 } }))],
  ['Claims challenge for a minute', [{ call: 'graph', for: '1m', then: 'claims-challenge' }]],
  ['Revoke sign-ins at the next request', [{ times: 1, then: 'revoke' }]],
];

async function ask(method, path, body) {
  try {
    const answer = await fetch(path, { method, body: body && JSON.stringify(body) });
    return answer.ok ? null : (await answer.json()).error;
  } catch {
    return 'the emulator does not answer';
  }
}

function button(label, className, ...request) {
  const element = make('button', className, label);
  element.type = 'button';
  element.addEventListener('click', async () => {
    const problem = await ask(...request);
    byId('pressed').textContent = problem ? `“${label}” failed: ${problem}` : `Done: ${label}.`;
  });
  return element;
}

byId('buttons').append(
  ...BUTTONS.map(([label, faults]) => button(label, '', 'POST', '/_emulator/faults', faults)),
  button('Forget access tokens', '', 'DELETE', '/_emulator/tokens'),
  button('Remove all faults', 'clear', 'DELETE', '/_emulator/faults'));

function showFaults(faults) {
  const items = faults.map((fault) => {
    const set = Object.entries(fault).filter(([name, value]) => name !== 'call' && value !== 0 && value !== false);
    const text = set.map(([name, value]) =>
      value.respond ? `then answer ${value.respond.status}` : `${name} ${typeof value === 'object' ? JSON.stringify(value) : value}`);
    return make('li', '', `${fault.call}: ${text.join(', ')}`);
  });
  byId('faults').replaceChildren(...(items.length ? items : [make('li', '', 'None.')]));
}

// ── The stream ──

// The one user who is shown, if not the first.
let shown = '';
let events = null;

function listen() {
  events?.close();
  clock = null;
  events = new EventSource('/_emulator/events' + (shown && `?user=${encodeURIComponent(shown)}`));
  const link = byId('link');
  events.onmessage = ({ data }) => {
    const { state, faults, requests } = JSON.parse(data);
    setClock(Date.parse(state.time));
    if (link.textContent !== 'Live.') link.textContent = 'Live.';
    link.className = '';
    showUsers(state);
    showRequests(requests, state.users);
    showFaults(faults);
    tick();
  };
  events.onerror = () => {
    clock = null;
    link.textContent = 'No connection; trying again …';
    link.className = 'lost';
    // The browser itself tries again, except after an answer that is not a stream.
    if (events.readyState === EventSource.CLOSED) setTimeout(listen, 2000);
  };
}

async function show(user) {
  const problem = user && (await ask('GET', `/_emulator/state?user=${encodeURIComponent(user)}`));
  byId('search-result').textContent = problem || '';
  if (problem) return;
  shown = user;
  byId('everybody').hidden = !user;
  listen();
}

byId('search').addEventListener('submit', (event) => {
  event.preventDefault();
  show(byId('who').value.trim());
});
byId('everybody').addEventListener('click', () => {
  byId('who').value = '';
  byId('who').focus();
  show('');
});

setInterval(tick, 250);
listen();
