// The first view: what is wrong, totals, queues.

import { h } from './dom.js';
import { age, clock, count, duration, lately, plural, rate, UNKNOWN } from './format.js';
import { attemptsWithoutSpans, errorList, WAITS, waitTable } from './errors.js';
import { elapsed, link, notice, panel, STATES, traceHint } from './parts.js';
import { instructions } from './pipeline.js';

/** With more queues the lists below them would be out of sight. */
const FEW_QUEUES = 30;

export function overviewView({ attention, queues, state }) {
  const { document, now } = state;
  const redis = document.redis.state;
  const isEmpty = document.queues.length === 0;
  const errors = document.errors.slice(0, 4);
  const waits = document.slowest_waits.slice(0, 6);
  const hintBelow = (list) => traceHint(document.links, list);
  return h('div', { key: 'overview', class: 'stack' },
    attention.view(document, now),
    redis !== 'off' && !(isEmpty && redis === 'unread') && totals(document),
    isEmpty ? noQueues(document) : h('section', { key: 'queues', id: 'queues',
      class: `block ${redis === 'stale' ? 'stale' : ''}`, 'aria-label': 'Queues', tabindex: -1 }, queues.view(state)),
    document.spans?.received === 0 && instructions(document),
    !isEmpty && document.queues.length <= FEW_QUEUES && h('div', { key: 'lists', class: 'columns' },
      document.errors.length > 0 && panel('Errors', { note: link('#/errors', allOf(document.errors_total ?? document.errors.length)) },
        errorList(errors, document.links, now, ''), attemptsWithoutSpans(errors),
        hintBelow(errors)),
      document.slowest_waits.length > 0 && panel('Slowest waits', { note: lately(WAITS, document, now) },
        waitTable(waits, document, now), !hintBelow(errors) && hintBelow(waits))));
}

function allOf(groups) {
  return `${groups > 1 ? 'all ' : ''}${plural(groups, 'group')}`;
}

/** What the last scrape says of Redis, where it does not say all is well. */
export function redisNotice({ document, now }) {
  const { state, error, read_at: readAt } = document.redis;
  if (state === 'read' || state === 'off') return null;
  if (state === 'unread' && !error) return notice('info', 'Redis was not read yet.',
    `The first scrape takes place within ${duration(document.collector.interval_seconds)}.`);
  const known = readAt ? `This is the state of ${clock(Date.parse(readAt))}, ${age(elapsed(readAt, now))} ago.`
    : 'Nothing is known of its queues yet.';
  return notice('critical', `Redis is unavailable: ${error ?? 'it does not answer'}`, known);
}

function totals(document) {
  const { totals: sums, servers } = document;
  const tile = (key, title, number, className = '') => h('div', { key, class: `tile ${className}` }, h('dt', null, title),
    h('dd', null, number));
  const flow = (name, title) => tile(name, [h('i', { class: `dot ${name}` }), title],
    [rate(sums[`${name}_per_second`]), sums[`${name}_per_second`] != null && h('small', null, '/s')]);
  const busy = servers?.reduce((sum, server) => sum + (server.busy_workers ?? 0), 0);
  const workers = servers?.reduce((sum, server) => sum + (server.concurrency ?? 0), 0);
  return h('dl', { key: 'totals', class: `tiles ${document.redis.state === 'stale' ? 'stale' : ''}` },
    flow('enqueued', 'Enqueued'), flow('completed', 'Completed'), flow('failed', 'Failed'),
    ['pending', 'active', ...STATES.filter((state) => state !== 'pending' && state !== 'active')].map((state) =>
      tile(`state ${state}`, [h('i', { class: `dot ${state}` }), state === 'completed' ? 'Completed, kept' : state[0].toUpperCase() + state.slice(1)],
        count(sums[state]), sums[state] === 0 ? 'zero' : '')),
    tile('workers', servers ? plural(servers.length, 'server') : 'Servers', !servers ? (document.servers_problem ? h('small', null, "can't be read") : UNKNOWN) : workers ? [count(busy), h('small', null, ` of ${count(workers)} busy`)]
      : UNKNOWN));
}

function noQueues(document) {
  const { redis, collector } = document;
  if (redis.state === 'off') {
    return panel('Redis is not read', { className: 'hint' },
      h('p', null,
        'The setting redis.url is none: this collector receives spans only, and another one reads the queues. '
        + 'What it does with them: ', link('#/spans', 'Spans'), '.'));
  }
  if (redis.state === 'unread') {
    return panel('Queues appear here once Redis has been read', { className: 'hint' },
      h('p', null, 'This collector reads ', h('bdi', { class: 'code' }, collector.redis ?? 'no Redis'),
        '. If your workers use another Redis, set redis.url.'));
  }
  return panel('No queues yet', { className: 'hint' },
    h('p', null, h('bdi', { class: 'code' }, collector.redis ?? ''),
      ' answers and has no Asynq queue. Is it the Redis, and the database, that your workers use? '
      + 'If so, a first task makes the first queue:'),
    document.hints && h('pre', { tabindex: 0 }, h('code', null, document.hints.first_task)));
}
