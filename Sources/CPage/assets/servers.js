// Servers, what they run now, and cron entries.

import { h } from './dom.js';
import { age, count, plural, UNKNOWN } from './format.js';
import { elapsed, foreign, meter, moment, notice, panel, queueLink, table, taskCell, when } from './parts.js';
import { due } from './queue.js';

const MOST_RUNNING = 100;
const MOST_QUEUES = 50;

export function serversView({ document, now }) {
  const servers = document.servers ?? [];
  const running = servers.flatMap((server) => (server.running ?? []).map((task) => ({ ...task, server })))
    .sort((a, b) => (a.started_at < b.started_at ? -1 : 1));
  const busy = servers.reduce((sum, server) => sum + (server.busy_workers ?? 0), 0);
  const all = servers.reduce((sum, server) => sum + (server.concurrency ?? 0), 0);
  return h('div', { key: 'servers', class: `stack ${document.redis.state === 'stale' ? 'stale' : ''}` },
    unread('Servers', document.servers_problem),
    panel('Servers', { note: document.servers && `${count(busy)} of ${plural(all, 'worker')} busy` }, table('Servers', [
      { title: 'Server', kind: 'wide', cell: (row) => [foreign(row.host), h('div', { class: 'sub' }, `process ${row.pid}`)] },
      { title: 'Status', cell: (row) => h('span', { class: row.status === 'active' ? 'text-good' : 'text-warning' },
        foreign(row.status)) },
      { title: 'Busy', kind: 'n', cell: (row) => h('span', { class: 'used' },
        meter(row.busy_workers, row.concurrency, 'active'), `${count(row.busy_workers)} of ${count(row.concurrency)}`) },
      { title: 'Queues', kind: 'wide', cell: (row) => queueTags(priorities(row.queues), row.queues_total) },
      { title: 'Up', kind: 'n', cell: (row) => moment(row.started_at, age(elapsed(row.started_at, now))) },
    ], servers, (row) => row.id, none('No server is alive: nothing takes tasks from any queue.', document.servers, document.servers_problem))),
    panel('Running now', { note: running.length > MOST_RUNNING ? `the ${MOST_RUNNING} longest of ${count(running.length)}`
      : 'longest first' }, table('Running now', [
      { title: 'For', kind: 'n', cell: (row) => moment(row.started_at, age(elapsed(row.started_at, now))) },
      { title: 'Task', kind: 'wide', cell: (row) => taskCell(row.queue, row.type, row.id) },
      { title: 'Server', kind: 'wide', cell: (row) => [foreign(row.server.host),
        h('div', { class: 'sub' }, `process ${row.server.pid}`)] },
      { title: 'Deadline', kind: 'n', cell: (row) => row.deadline_at ? moment(row.deadline_at, due(row.deadline_at, now))
        : UNKNOWN },
    ], running.slice(0, MOST_RUNNING), (row) => `${row.queue} ${row.id}`, none('No task runs at this moment.', document.servers, document.servers_problem))));
}

/** Why some are missing. */
function unread(title, problem) {
  return problem && notice('warning', `${title} that can't be read`, foreign(problem, 'whole'));
}

/** What is said of an empty list: it has none, or those that there are can't be read. */
function none(words, list, problem) {
  if (list && !problem) return words;
  return problem ? 'What there is can not be read.' : 'Nothing was read from Redis.';
}

function queueTags(queues, total) {
  return h('span', { class: 'tags' }, queues.slice(0, MOST_QUEUES).map(([queue, priority]) =>
    h('span', { key: queue, class: 'tag' }, queueLink(queue), priority != null && h('small', { title: 'priority' }, priority))),
  total > MOST_QUEUES && h('span', { class: 'muted' }, `and ${plural(total - MOST_QUEUES, 'more queue')}`));
}

function priorities(queues) {
  return Object.entries(queues ?? {}).sort(([a, first], [b, second]) => (second ?? 0) - (first ?? 0) || (a < b ? -1 : 1));
}

export function cronView({ document, now }) {
  return h('div', { key: 'cron', class: `stack ${document.redis.state === 'stale' ? 'stale' : ''}` },
    unread('Cron entries', document.cron_problem),
    panel('Cron entries', { note: 'of live schedulers' }, table('Cron entries', [
      { title: 'Schedule', cell: (row) => foreign(row.spec, 'code') },
      { title: 'Task type', kind: 'wide', cell: (row) => foreign(row.task_type, 'code') },
      { title: 'Next', kind: 'n', cell: (row) => {
        if (!row.overdue) return moment(row.next_at, due(row.next_at, now));
        return moment(row.next_at, h('span', { class: 'text-critical' }, `${age(elapsed(row.next_at, now))} overdue`));
      } },
      { title: 'Last enqueued', kind: 'n', cell: (row) => row.last_enqueued_at ? when(row.last_enqueued_at, now)
        : h('span', { class: 'muted' }, document.cron_problem ? 'unknown' : 'never seen') },
      { title: 'Last planned', kind: 'n', cell: (row) => when(row.previous_at, now) },
      { title: 'Entry', kind: 'wide', cell: (row) => foreign(row.id, 'code') },
    ], document.cron ?? [], (row) => row.id, none('No scheduler has an entry.', document.cron, document.cron_problem))));
}
