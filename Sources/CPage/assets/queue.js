// One queue, opened.

import { h } from './dom.js';
import { attentionOf } from './attention.js';
import { Chart } from './chart.js';
import { age, bytes, count, duration, lately, NO_NAME, plural, rate, UNKNOWN } from './format.js';
import { attemptsWithoutSpans, errorList, letterTable, newest, noErrors, unreadLetters, WAITS, waitTable } from './errors.js';
import { bar, drain, fact, foreign, moment, notice, outside, panel, servesOthers, stateNumbers, table, taskCell, traceHint,
  traceLink, wait, web } from './parts.js';

const tasks = (value) => count(Math.round(value * 10) / 10);
const perSecond = (value) => (value === 0 ? '0' : value < 10 ? String(Number(value.toPrecision(2))) : count(Math.round(value)));

const CHARTS = [
  { title: 'Backlog by state', unit: 'tasks', stacked: true, format: tasks, series: [
    { name: 'active', label: 'active' }, { name: 'pending', label: 'pending' }, { name: 'retry', label: 'retry' },
    { name: 'scheduled', label: 'scheduled' }, { name: 'aggregating', label: 'aggregating' },
    { name: 'archived', label: 'archived', off: 'Archived tasks do not wait for anything; a click draws them' }] },
  { title: 'Arrivals and completions', unit: 'tasks per second', format: perSecond, series: [
    { name: 'enqueued', label: 'enqueued' }, { name: 'completed', label: 'completed' }] },
  { title: 'Wait before the task runs', unit: 'of recent tasks', format: duration, series: [
    { name: 'wait_p50', label: 'p50' }, { name: 'wait_p95', label: 'p95' }, { name: 'wait_p99', label: 'p99' }] },
  { title: 'Failures', unit: 'per second', format: perSecond, series: [
    { name: 'failed', label: 'failed' }, { name: 'dead_lettered', label: 'dead letters' }] },
];

export class QueueView {
  constructor(name) {
    this.name = name;
    this.charts = CHARTS.map((chart) => new Chart(chart));
  }

  /** Takes the document of the queue. */
  take(document) {
    this.document = document;
    const { start, step, points } = document.history;
    const { wait_p50_seconds: p50, wait_p95_seconds: p95, wait_p99_seconds: p99 } = document;
    const latest = { ...document, enqueued: document.enqueued_per_second, completed: document.completed_per_second,
      failed: document.failed_per_second, dead_lettered: document.dead_lettered_per_second, wait_p50: p50, wait_p95: p95, wait_p99: p99 };
    for (const chart of this.charts) chart.show({ start, step, points, ...document.history }, latest);
  }

  close() {
    for (const chart of this.charts) chart.close();
  }

  view({ document: overview, now, isMissing, failure, home }) {
    const name = this.name;
    const known = overview.queues.find((one) => one.queue === name);
    const queue = this.document ?? known;
    const grafana = overview.links.queue && web(overview.links.queue.replaceAll('{queue}', encodeURIComponent(name)));
    return h('div', { key: `opened ${name}`, class: `opened ${overview.redis.state === 'stale' ? 'stale' : ''}` },
      h('div', { class: 'heading' }, h('a', { href: home, class: 'back' }, '← Queues'),
        h('h1', null, name === '' ? NO_NAME : foreign(name, 'long')), queue?.paused && h('span', { class: 'badge' }, 'paused'),
        grafana && h('span', { class: 'end' }, outside(grafana, 'Open in Grafana'))),
      isMissing && queue && !known && h('p', { key: 'gone', class: 'empty panel' }, 'The queue is no longer there. This is its last known state.'),
      failure && notice('critical', 'Charts and lists can not be read now',
        `${failure}. They are as they were; the page tries again.`),
      queue ? this.content(queue, overview, now) : h('p', { class: 'empty panel' },
        failure ? 'Nothing is known of the queue yet.' : isMissing ? 'There is no queue of this name. It may have been removed, or no task was ever enqueued to it.'
          : 'Loading…'));
  }

  content(queue, overview, now) {
    return [
      attentionOf(this.name, overview, this.document, now),
      h('div', { key: 'states', class: 'panel states-panel' }, bar(queue), h('div', { class: 'counts' }, stateNumbers(queue)),
        facts(queue)),
      this.document && [
        h('div', { key: 'charts', class: 'charts' }, this.charts.map((chart, index) =>
          h('div', { key: index, class: 'panel', opaque: true, made: (node) => node.append(chart.element) }))),
        this.lists(this.document, overview, now),
      ],
    ];
  }

  lists(document, overview, now) {
    const links = overview.links;
    return h('div', { key: 'lists', class: 'columns' },
      h('div', { class: 'stack' },
        panel('Errors', { note: 'grouped' }, errorList(document.errors, links, now, noErrors(overview, now), false),
          attemptsWithoutSpans(document.errors), unreadLetters([document], false),
          traceHint(links, document.errors, document.dead_letters, document.slowest_waits, document.retries_due)),
        panel('Dead letters', { note: newest(document.dead_letters, document.archived) },
          letterTable(document.dead_letters, links, now, false))),
      h('div', { class: 'stack' },
        panel('Task types', { note: 'since the start' }, typeTable(document.task_types)),
        panel('Retries due next', null, this.retryTable(document.retries_due, links, now)),
        panel('Slowest waits', { note: lately(WAITS, overview, now) }, waitTable(document.slowest_waits, overview, now, false)),
        panel('Served by', null, serverTable(document.servers))));
  }

  retryTable(retries, links, now) {
    return table('Retries due next', [
      { title: 'Due', kind: 'n', cell: (row) => moment(row.at, due(row.at, now)) },
      { title: 'Task', kind: 'wide', cell: (row) => taskCell(this.name, row.type, row.id, false) },
      { title: 'Retried', kind: 'n', cell: (row) => `${count(row.retried)} of ${count(row.max_retry)}` },
      { title: 'Error', kind: 'wide', cell: (row) => foreign(row.error, 'clamp') },
      { title: 'Trace', cell: (row) => traceLink(row.trace_id, links) },
    ], retries, (row) => row.id, 'No task waits for a retry.');
  }
}

function typeTable(types) {
  return table('Task types', [
    { title: 'Type', kind: 'wide', cell: (row) => foreign(row.type, 'code') },
    { title: 'Attempts', kind: 'n', cell: (row) => count(row.attempts) },
    { title: 'Failed', kind: 'n', cell: (row) => h('span', { class: row.failed > 0 ? 'text-failed' : '' }, count(row.failed)) },
    { title: 'Wait p95', kind: 'n', cell: (row) => duration(row.wait_p95_seconds) },
    { title: 'Run p95', kind: 'n', cell: (row) => duration(row.run_p95_seconds) },
  ], types, (row) => row.type, 'No task type is known yet.');
}

function serverTable(servers) {
  return table('Servers', [
    { title: 'Host', kind: 'wide', cell: (row) => foreign(row.host) },
    { title: 'Process', kind: 'n', cell: (row) => row.pid },
    { title: 'Server', kind: 'wide', cell: (row) => foreign(row.id, 'code') },
  ], servers ?? [], (row) => row.id, servers ? 'No live server takes tasks from this queue.'
    : 'Which servers take tasks from this queue is unknown.');
}

/** When something is due: what was due a moment ago is late for no reason yet. */
export function due(time, now) {
  if (!time) return UNKNOWN;
  const seconds = Math.round((Date.parse(time) - now) / 1000);
  if (seconds === 0) return 'due now';
  return seconds > 0 ? `in ${age(seconds)}` : `due ${age(-seconds)} ago`;
}

const flow = (number) => (number == null ? UNKNOWN : `${rate(number)}/s`);

/** Servers have workers for all their queues: a paused one keeps none of them busy. */
function workers(queue) {
  if (queue.concurrency == null) return UNKNOWN;
  return `${count(queue.busy_workers)} of ${count(queue.concurrency)}${servesOthers(queue) ? ', with other queues' : ''}`;
}

function facts(queue) {
  return h('dl', { class: 'facts' },
    fact('Oldest pending', queue.pending === 0 ? UNKNOWN : duration(queue.oldest_wait_seconds)),
    fact('Recent wait p50 / p95 / p99', [wait(queue, queue.wait_p50_seconds), ' / ', duration(queue.wait_p95_seconds), ' / ',
      duration(queue.wait_p99_seconds)]),
    fact('Arrivals', flow(queue.enqueued_per_second)),
    fact('Completions', flow(queue.completed_per_second)),
    fact('Failed attempts', flow(queue.failed_per_second)),
    fact('Drains in', drain(queue)),
    fact('Busy workers of its servers', workers(queue)),
    fact('Longest running', duration(queue.longest_running_seconds)),
    queue.orphaned > 0 && fact('Orphaned', plural(queue.orphaned, 'task')),
    queue.overdue_scheduled > 0 && fact('Scheduled, overdue', plural(queue.overdue_scheduled, 'task')),
    queue.overdue_retry > 0 && fact('Retry, overdue', plural(queue.overdue_retry, 'task')),
    queue.groups > 0 && fact('Groups', count(queue.groups)),
    fact('Completed in total', count(queue.completed_total)),
    fact('Failed in total', count(queue.failed_total)),
    queue.memory_usage_approx_bytes != null && fact('Memory in Redis', `about ${bytes(queue.memory_usage_approx_bytes)}`));
}
