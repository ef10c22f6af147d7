// Puts the views together: what the address asks for, what the collector says, when it said so.

import { Attention, calmWords, firingCount, totalCount } from './attention.js';
import { areErrors, isOverview, isQueue, isTrace } from './documents.js';
import { h, patch } from './dom.js';
import { errorsView } from './errors.js';
import { Feed, OTHER, ROOT } from './feed.js';
import { age, clock, shown } from './format.js';
import { History } from './history.js';
import { overviewView, redisNotice } from './overview.js';
import { elapsed, hidden, moment, notice, queueDocument } from './parts.js';
import { pipelineView } from './pipeline.js';
import { prepare, QueueTable } from './queues.js';
import { QueueView } from './queue.js';
import { cronView, serversView } from './servers.js';
import { TaskView } from './task.js';
import { tooltips } from './tooltip.js';
import { TraceView } from './trace.js';

const VIEWS = { '': 'Queues', errors: 'Errors', servers: 'Servers', cron: 'Cron', spans: 'Spans', task: 'Find a task' };
const DEFAULTS = { filter: '', trouble: false, sort: '-trouble' };
/** Two misses of the period: the page says that it is not live. */
const LATE = 6000;
/** The hash of the files that run here: the folder of this file. */
const FILES = import.meta.url.split('/').at(-2);
/** Where the browser remembers for which hash it was loaded again. */
const RELOADED = 'asynq-collector reloaded for';

const root = document.getElementById('app');
const baseTitle = 'asynq-collector';
const history = new History();
const attention = new Attention(redraw);
const queues = new QueueTable(changeSettings, redraw);
const task = new TaskView(redraw);
let overview = null;
/** The collector's clock when performance.now() was 0, in milliseconds. A document may have been made a while before it came. */
let origin = null;
/** No document is older than this, in milliseconds: one that seems to be comes from a clock that was set. */
const OLDEST = 8000;
/** The queue or trace that is open. */
let opened = null;
let settings = DEFAULTS;
/** What the address asked for when it was followed last. */
let current = route();
let announced = null;
/** Where the list of queues was scrolled to when another view opened. */
let listScroll = 0;

const traceID = location.pathname.startsWith(`${ROOT.pathname}trace/`)
  ? decoded(location.pathname.slice(ROOT.pathname.length + 6)) : null;

const feed = new Feed(() => (history.since == null ? 'api/v1/overview' : `api/v1/overview?since=${history.since}`),
  isOverview, takeOverview, redraw);
/** The groups of errors, all of them, while they are looked at. */
let errors = null;
const errorFeed = new Feed(() => (traceID == null && current.view === 'errors' ? 'api/v1/errors' : null), areErrors,
  (groups) => { errors = groups; }, redraw);
const detail = new Feed(() => opened?.address ?? null, traceID == null ? isQueue : isTrace,
  (document) => opened?.view.take(document), redraw, [400, 404]);

/** Other files than these are served after an upgrade: once, for behind one address there may be collectors of two versions. */
function reloadFor(hash) {
  if (!hash || hash === FILES || sessionStorage.getItem(RELOADED) === hash) return;
  sessionStorage.setItem(RELOADED, hash);
  location.reload();
}

function takeOverview(document) {
  reloadFor(document.collector.page);
  history.merge(document.history, document.queues);
  prepare(document);
  overview = document;
  const came = Date.parse(document.now) - performance.now();
  origin = origin == null || Math.abs(came - origin) > OLDEST ? came : Math.max(came, origin);
}

// --- The address ---------------------------------------------------------------------------------------------------

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** `#/queue/emails`, or `#/?q=mail&sort=-pending&trouble=1`. */
function route() {
  const [path, query] = location.hash.replace(/^#\/?/, '').split('?');
  const [view, ...names] = path.split('/').map(decoded);
  return { view: view === 'queue' || Object.hasOwn(VIEWS, view) ? view : '', names, query: new URLSearchParams(query ?? '') };
}

function follow() {
  current = route();
  const { view, names, query } = current;
  if (view === '') settings = { filter: query.get('q') ?? '', trouble: query.get('trouble') === '1',
    sort: query.get('sort') ?? DEFAULTS.sort };
  const name = view === 'queue' ? names.join('/') : null;
  if (traceID == null && (opened?.name ?? null) !== name) {
    opened?.view.close();
    opened = name == null ? null : { name, view: new QueueView(name), address: queueDocument(name) };
    detail.restart();
  }
  if (view === 'errors') errorFeed.again(0);
  redraw();
}

/** On a narrow screen, the link to the view that is shown may be out of sight. */
function showCurrentLink() {
  const link = document.querySelector('nav [aria-current]');
  if (link) link.parentNode.scrollLeft = link.offsetLeft - (innerWidth - link.offsetWidth) / 2;
}

function changeSettings(change) {
  settings = { ...settings, ...change };
  window.history.replaceState(null, '', home());
  draw();
}

/** The address of the queues as they are sorted and filtered. */
function home() {
  const query = new URLSearchParams();
  if (settings.filter) query.set('q', settings.filter);
  if (settings.sort !== DEFAULTS.sort) query.set('sort', settings.sort);
  if (settings.trouble) query.set('trouble', '1');
  return query.size > 0 ? `#/?${query}` : '#/';
}

// --- The page ------------------------------------------------------------------------------------------------------

let frame = null;
/** The view whose link was brought into sight last, and whether there were numbers beside the links. */
let linkInSight = null;

/** Once for all that has changed until the browser draws. */
function redraw() {
  frame ??= requestAnimationFrame(draw);
}

/** The collector's clock, in milliseconds. While it does not answer, the moment of its last answer: what is shown is as old. */
function now() {
  return overview ? origin + performance.now() - (isLost() ? sinceAnswer() : 0) : Date.now();
}

function draw() {
  cancelAnimationFrame(frame);
  frame = null;
  const { view, names } = current;
  patch(root, [header(view), main(view, names), h('div', { key: 'announce', class: 'hidden', role: 'status' },
    announcement())]);
  const troubles = troubleCount();
  const title = `${troubles > 0 ? `(${troubles}) ` : ''}${baseTitle}${overview ? ` · ${overview.collector.host}` : ''}`;
  if (document.title !== title) document.title = title;
  const mark = document.getElementById('mark');
  const wanted = mark.href.replace(/icon(-trouble)?\.svg/, troubles > 0 ? 'icon-trouble.svg' : 'icon.svg');
  if (mark.href !== wanted) mark.href = wanted;
  tooltips.prepare();
  const inSight = `${view} ${overview != null}`;
  if (inSight !== linkInSight) showCurrentLink();
  linkInSight = inSight;
}

function main(view, names) {
  const state = { document: overview, history, settings, now: now() };
  return h('main', { key: 'main', id: 'main', tabindex: -1, class: isLost() ? 'lost' : '' },
    isLost() && overview && notice('critical', 'Connection lost',
      `${feed.failure ? `Reason: ${feed.failure}. ` : ''}This is the state of ${clock(now())}. The page goes on by itself once the collector answers.`),
    !overview && feed.failure && notice('critical', 'The collector does not answer', feed.failure),
    traceID == null && view !== 'queue' && h('h1', { key: 'title', class: 'hidden' }, VIEWS[view]),
    overview && traceID == null && redisNotice(state), content(view, names, state));
}

/** What the address asks for. A document that can't be drawn does not take the rest of the page with it. */
function content(view, names, state) {
  try {
    return viewOf(view, names, state);
  } catch (error) {
    console.debug(error);
    return notice('critical', 'This view can not be drawn', `${OTHER[0].toUpperCase()}${OTHER.slice(1)}. The page tries again.`);
  }
}

function viewOf(view, names, state) {
  if (traceID != null) {
    return opened.view.view({ links: overview?.links ?? { trace: 'trace/{trace_id}' }, isMissing: detail.isMissing && overview,
      reason: detail.reason, failure: lateFailure(detail), redraw, home: ROOT.pathname });
  }
  if (!overview) return feed.failure ? null : h('p', { key: 'loading', class: 'empty' }, 'Loading…');
  switch (view) {
    case 'queue': return opened?.view.view({ ...state, isMissing: detail.isMissing, failure: lateFailure(detail), home: home() });
    case 'errors': return errorsView(state, errors, lateFailure(errorFeed));
    case 'servers': return serversView(state);
    case 'cron': return cronView(state);
    case 'spans': return pipelineView(state);
    case 'task':
      task.follow(names[0], names.slice(1).join('/'));
      return task.view(state);
    default: return overviewView({ attention, queues, state });
  }
}

// --- The header ----------------------------------------------------------------------------------------------------

const sinceAnswer = () => (feed.answeredAt == null ? 0 : performance.now() - feed.answeredAt);
const isLost = () => feed.isLate(LATE) && (feed.answeredAt == null || sinceAnswer() > LATE);

/** Why what another feed has is not as it is now, where the collector answers otherwise. */
function lateFailure(other) {
  const isRecent = other.answeredAt != null && performance.now() - other.answeredAt < LATE;
  return feed.failure || isRecent ? null : other.failure;
}

function header(view) {
  const host = overview?.collector;
  return h('header', { key: 'header' },
    h('div', { class: 'top' },
      h('a', { class: 'brand', href: traceID == null ? '#/' : ROOT.pathname },
        h('svg:svg', { viewBox: '0 0 16 16', class: 'logo', 'aria-hidden': 'true' },
        h('svg:path', { d: 'M2 3h8v2H2zM2 7h12v2H2zM2 11h5v2H2z' })), 'asynq-collector'),
      host && h('span', { class: 'which' }, h('bdi', { class: 'cut' }, shown(host.host)), h('span', null, host.version),
        h('span', null, 'up ', moment(host.started_at, age(elapsed(host.started_at, now()))))),
      host && h('span', { class: 'ends' }, redisEnd(), tempoEnd()),
      h('span', { class: `live ${isLost() ? 'text-critical' : ''}` },
        h('i', { class: `dot ${isLost() ? 'critical' : 'good'}` }), liveness())),
    h('nav', { 'aria-label': 'Views' }, Object.entries(VIEWS).map(([name, title]) =>
      h('a', { key: name, href: (traceID == null ? '' : ROOT.pathname) + (name === '' ? home() : `#/${name}`),
        'aria-current': traceID == null && (view === name || (name === '' && view === 'queue')) ? 'page' : null }, title,
      badge(name)))));
}

function liveness() {
  if (feed.answeredAt == null) return feed.failure ? 'no connection' : 'connecting';
  if (isLost()) return `connection lost, last data ${clock(now())}`;
  return `updated ${age(Math.floor(sinceAnswer() / 1000))} ago`;
}

function end(name, state, severity, address) {
  return h('span', { class: 'end' }, h('i', { class: `dot ${severity}` }), name, h('span', { class: 'muted' }, state),
    address && h('bdi', { class: 'cut code' }, shown(address)));
}

function redisEnd() {
  const { state, error } = overview.redis;
  const words = { off: ['not read', 'none'], unread: error ? ['unavailable', 'critical'] : ['not read yet', 'none'],
    stale: ['unavailable', 'critical'], read: ['ok', 'good'] };
  return end('Redis', ...words[state], overview.collector.redis);
}

function tempoEnd() {
  const { tempo } = overview.collector;
  const { up } = overview.forwarder;
  if (!tempo) return end('Tempo', 'none', 'none', null);
  return up == null ? end('Tempo', 'not tried yet', 'none', tempo) : up ? end('Tempo', 'ok', 'good', tempo)
    : end('Tempo', 'unavailable', 'critical', tempo);
}

function troubleCount() {
  return overview ? firingCount(overview) : 0;
}

/** Redis that can't be read stands first, whatever its severity. */
function worstSeverity() {
  return ['critical', 'warning'].find((severity) => overview.attention.some((item) => item.severity === severity)) ?? '';
}

function badge(name) {
  if (!overview) return null;
  const number = name === '' ? troubleCount() : name === 'errors' ? overview.errors_total ?? overview.errors.length : 0;
  return number > 0 && h('span', { class: `badge ${name === '' ? worstSeverity() : ''}` }, number,
    hidden(name === '' ? (number === 1 ? ' needs attention' : ' need attention') : number === 1 ? ' group' : ' groups'));
}

/** For screen readers, when it changes; not the first time, since the list is on the page. */
function announcement() {
  if (isLost()) return 'Connection lost';
  if (!overview) return '';
  const worst = overview.attention[0];
  const total = totalCount(overview);
  const text = worst ? `${total} ${total === 1 ? 'needs' : 'need'} attention. ${shown(worst.sentence)}` : calmWords(overview);
  const essence = worst ? overview.attention.map((item) => `${item.alert} ${item.queue}`).join() : text;
  if (announced == null) announced = { essence, text: '' };
  else if (announced.essence !== essence) announced = { essence, text };
  return announced.text;
}

// --- Start ---------------------------------------------------------------------------------------------------------

addEventListener('hashchange', () => {
  follow();
  draw();
  scrollTo(0, current.view === '' ? listScroll : 0);
});
addEventListener('scroll', () => {
  if (current.view === '') listScroll = scrollY;
  redraw();
}, { passive: true });
addEventListener('resize', redraw);
addEventListener('keydown', (event) => {
  const isTyping = event.target.closest?.('input, select, textarea');
  if (event.key === '/' && !isTyping && !event.ctrlKey && !event.metaKey && !event.altKey) {
    const filter = document.getElementById('filter') ?? document.getElementById('task-id');
    if (filter) {
      event.preventDefault();
      filter.focus();
    }
  } else if (event.key === 'Escape' && event.target.id === 'filter') changeSettings({ filter: '' });
});
document.getElementById('skip').addEventListener('click', (event) => {
  event.preventDefault();
  document.getElementById('main')?.focus();
});

window.history.scrollRestoration = 'manual';
if (traceID != null) opened = { view: new TraceView(traceID), address: `api/v1/traces/${encodeURIComponent(traceID)}` };
follow();
feed.again(0);
detail.again(0);
setInterval(() => {
  if (!document.hidden) redraw();
}, 1000);
