// The queues: as many rows as can be seen, however many there are.

import { h } from './dom.js';
import { age, count, duration, plural, rate, said, shown, UNKNOWN } from './format.js';
import { bar, drain, hidden, icon, queueLink, RANKS, servesOthers, stateNumbers, STATES, wait } from './parts.js';
import { sparkline } from './sparkline.js';

const value = (name) => (queue) => queue[name];
/** On a phone there is no key to press. */
const hasKeys = () => !matchMedia('(max-width: 820px), (pointer: coarse)').matches;
const ROWS_BEYOND = 8;
/** So many are drawn whether they can be seen or not: the browser's own search finds them, and they can be printed. */
const FEW_ROWS = 60;

/** What can be sorted by: title, value, whether the first click brings the largest to the top. */
export const ORDERS = {
  trouble: { title: 'Trouble', value: (queue) => queue.rank, down: true },
  queue: { title: 'Queue', value: (queue) => queue.lower, down: false },
  tasks: { title: 'Tasks', value: (queue) => STATES.reduce((sum, state) => sum + (queue[state] ?? 0), 0), down: true },
  ...Object.fromEntries(STATES.map((state) => [state, { title: `Tasks ${state}`, value: value(state), down: true }])),
  oldest: { title: 'Oldest', value: value('oldest_wait_seconds'), down: true },
  p50: { title: 'Wait p50', value: value('wait_p50_seconds'), down: true },
  p95: { title: 'Wait p95', value: value('wait_p95_seconds'), down: true },
  p99: { title: 'Wait p99', value: value('wait_p99_seconds'), down: true },
  in: { title: 'Arrivals', value: value('enqueued_per_second'), down: true },
  out: { title: 'Completions', value: value('completed_per_second'), down: true },
  failed: { title: 'Failures', value: value('failed_per_second'), down: true },
  drain: { title: 'Time to drain', value: drainOrder, down: true },
  workers: { title: 'Busy workers', value: value('busy_workers'), down: true },
};

function drainOrder(queue) {
  return { no: Infinity, steady: Number.MAX_VALUE }[queue.drains] ?? queue.drain_seconds;
}

const COLUMNS = [
  { id: 'queue', title: 'Queue', order: 'queue' },
  { id: 'states', title: 'Tasks', order: 'tasks' },
  { id: 'oldest', title: 'Oldest', order: 'oldest', help: 'Age of the oldest pending task' },
  { id: 'p50', title: 'p50', order: 'p50', help: 'Median wait of recent tasks' },
  { id: 'p95', title: 'p95', order: 'p95', help: '95th percentile of the wait' },
  { id: 'p99', title: 'p99', order: 'p99', help: '99th percentile of the wait' },
  { id: 'in', title: 'In/s', order: 'in', help: 'Tasks enqueued per second' },
  { id: 'out', title: 'Done/s', order: 'out', help: 'Tasks completed per second' },
  { id: 'failed', title: 'Failed/s', order: 'failed', help: 'Failed attempts per second' },
  { id: 'drain', title: 'Drains in', order: 'drain', help: 'Time until nothing is pending, at the present rates' },
  { id: 'workers', title: 'Busy', order: 'workers', help: 'Busy workers of the servers that serve the queue, whichever queues keep them busy' },
  { id: 'spark', title: 'Pending' },
];

/** Adds what sorting and filtering want, once for each document. */
export function prepare(document) {
  const places = new Map();
  document.attention.forEach((item, place) => {
    if (item.queue != null && !places.has(item.queue)) places.set(item.queue, place);
  });
  for (const queue of document.queues) {
    // The order of the attention list is that of the queues in it.
    queue.rank = queue.trouble ? RANKS[queue.trouble] * 1e6 - (places.get(queue.queue) ?? 1e5) : 0;
    queue.lower = queue.queue.toLowerCase();
  }
  document.queues.sort((a, b) => (a.lower < b.lower ? -1 : a.lower > b.lower ? 1 : 0));
}

export function selected(queues, { filter, trouble, sort }) {
  const words = filter.toLowerCase().split(/\s+/).filter(Boolean);
  const kept = queues.filter((queue) => (!trouble || queue.trouble) && words.every((word) => queue.lower.includes(word)));
  const [name, down] = direction(sort);
  const of = ORDERS[name].value;
  const sign = down ? -1 : 1;
  // Unknown values come last, whichever way is sorted.
  return kept.map((queue) => [of(queue), queue]).sort(([a], [b]) => {
    if (a == null || b == null) return (a == null) - (b == null);
    return a < b ? -sign : a > b ? sign : 0;
  }).map(([, queue]) => queue);
}

/** 'pending' and '-pending' of the address: which order, and whether the largest comes first. */
export function direction(sort) {
  const name = sort.replace(/^-/, '');
  if (!Object.hasOwn(ORDERS, name)) return ['trouble', true];
  return [name, sort.startsWith('-')];
}

export class QueueTable {
  /** `change(settings)` is called with what the user chose; `redraw()` when the table was scrolled. */
  constructor(change, redraw) {
    this.change = change;
    this.redraw = redraw;
    /** Of rows in trouble, whose sentence may take two lines, and of the others. */
    this.heights = { tall: 72, plain: 54 };
    this.memo = {};
  }

  view(state) {
    const { document, settings, history } = state;
    const rows = this.rows(document, settings);
    return [
      this.tools(document, settings, rows),
      rows.length === 0 ? h('p', { key: 'none', class: 'empty panel' }, nothing(document, settings))
        : this.table(rows, settings, history),
    ];
  }

  /** The rows to show; computed anew when document or settings have changed. */
  rows(document, settings) {
    const memo = this.memo;
    if (memo.document !== document || memo.settings !== settings) {
      const rows = selected(document.queues, settings);
      // How many of the rows before each are tall.
      const tall = [0];
      for (const queue of rows) tall.push(tall.at(-1) + (queue.trouble ? 1 : 0));
      this.memo = { document, settings, rows, tall };
    }
    return this.memo.rows;
  }

  /** How far below the first row the one of this index begins. */
  offset(index) {
    const tall = this.memo.tall[index];
    return tall * this.heights.tall + (index - tall) * this.heights.plain;
  }

  /** The last row that begins so far down, or above. */
  indexAt(offset) {
    let [first, last] = [0, this.memo.rows.length];
    while (first < last) {
      const middle = (first + last + 1) >> 1;
      if (this.offset(middle) <= offset) first = middle;
      else last = middle - 1;
    }
    return first;
  }

  tools(document, settings, rows) {
    const [name, down] = direction(settings.sort);
    const all = document.queues.length;
    return h('div', { key: 'tools', class: 'tools', role: 'search', 'aria-label': 'Queues' },
      h('label', { class: 'field grow' }, hidden('Filter queues by name'),
        h('input', { id: 'filter', type: 'search', placeholder: hasKeys() ? 'Filter queues  ( / )' : 'Filter queues', autocomplete: 'off',
          spellcheck: 'false', value: settings.filter,
          oninput: (event) => this.change({ filter: event.target.value }) })),
      h('label', { class: 'switch' },
        h('input', { id: 'trouble', type: 'checkbox', checked: settings.trouble,
          onchange: (event) => this.change({ trouble: event.target.checked }) }),
        'Only with trouble'),
      h('label', { class: 'field sort' }, h('span', null, 'Sort by'),
        h('select', { id: 'sort', value: name, onchange: (event) => this.sortBy(event.target.value) },
          Object.entries(ORDERS).map(([id, order]) =>
            h('option', { key: id, value: id, selected: id === name }, order.title)))),
      h('button', { class: 'turn', type: 'button', 'aria-label': `${down ? 'Largest' : 'Smallest'} first; reverse the order`,
        onclick: () => this.sortBy(name, !down) }, down ? '↓' : '↑'),
      h('span', { class: 'shown', role: 'status' }, rows.length === all ? plural(all, 'queue')
        : `${count(rows.length)} of ${plural(all, 'queue')}`));
  }

  sortBy(order, down = ORDERS[order].down) {
    this.change({ sort: down ? `-${order}` : order });
  }

  table(rows, settings, history) {
    const [name, down] = direction(settings.sort);
    return h('table', { key: 'queues', class: 'queues', 'aria-label': 'Queues', 'aria-rowcount': rows.length + 1,
      made: (node) => { this.node = node; } },
      h('thead', null, h('tr', { 'aria-rowindex': 1 }, COLUMNS.map((column) => this.heading(column, name, down, history)))),
      h('tbody', null, this.visible(rows, history)));
  }

  heading({ id, title, order, help }, name, down, history) {
    if (id === 'spark') {
      return h('th', { key: id, class: id, scope: 'col', title: `Pending tasks of the last ${age(history.seconds)}` }, title,
        h('span', { class: 'span-of-time' }, `, ${age(history.seconds)}`));
    }
    const isSorted = order === name;
    return h('th', { key: id, class: id, scope: 'col', title: help,
      'aria-sort': isSorted ? (down ? 'descending' : 'ascending') : null },
      h('button', { type: 'button', onclick: () => this.sortBy(order, isSorted ? !down : ORDERS[order].down) },
        title, h('span', { class: 'arrow', 'aria-hidden': 'true' }, isSorted ? (down ? '↓' : '↑') : '')));
  }

  /** The rows that can be seen, the one that has the focus, and space for the others. */
  visible(rows, history) {
    const body = this.node?.isConnected ? this.node.tBodies[0] : null;
    const top = body ? body.getBoundingClientRect().top : 0;
    const [tall, plain] = ['tr.row.trouble', 'tr.row:not(.trouble)'].map((rows) => height(body?.querySelector(rows)));
    if ((tall ?? this.heights.tall) !== this.heights.tall || (plain ?? this.heights.plain) !== this.heights.plain) {
      this.heights = { tall: tall ?? plain, plain: plain ?? tall };
    }
    const most = rows.length <= FEW_ROWS ? FEW_ROWS
      : Math.ceil(innerHeight / Math.min(this.heights.tall, this.heights.plain)) + 2 * ROWS_BEYOND;
    const first = Math.max(0, Math.min(this.indexAt(-top) - ROWS_BEYOND, rows.length - most));
    const last = Math.min(rows.length, first + most);
    const indices = [];
    for (let index = first; index < last; index += 1) indices.push(index);
    const held = body?.contains(document.activeElement) && document.activeElement.closest('tr.row')?.$key;
    const focused = held ? rows.findIndex((queue) => key(queue) === held) : -1;
    if (focused >= 0 && !indices.includes(focused)) indices.push(focused);
    indices.sort((a, b) => a - b);
    const shownRows = [];
    let next = 0;
    for (const index of indices) {
      if (index > next) shownRows.push(this.spacer(next, index, next));
      shownRows.push(row(rows[index], index, history));
      next = index + 1;
    }
    if (next < rows.length) shownRows.push(this.spacer(next, rows.length, 'end'));
    return shownRows;
  }

  spacer(first, end, place) {
    return h('tr', { key: `spacer ${place}`, class: 'spacer', 'aria-hidden': 'true' },
      h('td', { colspan: COLUMNS.length, style: { height: `${this.offset(end) - this.offset(first)}px` } }));
  }
}

/** The height of a row that is drawn, with the space below it. */
function height(row) {
  return row ? row.getBoundingClientRect().height + parseFloat(getComputedStyle(row).marginBottom) : null;
}

const key = (queue) => `queue ${queue.queue}`;

function row(queue, index, history) {
  const name = queue.queue;
  const cell = (id, label, ...content) => h('td', { class: id, 'data-label': label }, content);
  return h('tr', { key: key(queue), class: `row ${queue.trouble ? `trouble ${queue.trouble}` : ''}`, 'aria-rowindex': index + 2 },
    h('th', { class: 'queue', scope: 'row' },
      h('div', { class: 'name' }, queue.trouble && [icon(queue.trouble), hidden(`${queue.trouble}: `)], queueLink(name),
        queue.paused && h('span', { class: 'badge' }, 'paused')),
      h('div', { class: `second cut ${queue.trouble ? `clamp text-${queue.trouble}` : 'muted'}` }, second(queue))),
    h('td', { class: 'states', 'data-label': 'Tasks' }, bar(queue), h('div', { class: 'counts cut' }, stateNumbers(queue))),
    cell('oldest', 'Oldest', queue.pending === 0 ? UNKNOWN : duration(queue.oldest_wait_seconds)),
    cell('p50', 'Wait p50', wait(queue, queue.wait_p50_seconds)),
    cell('p95', 'Wait p95', wait(queue, queue.wait_p95_seconds)),
    cell('p99', 'Wait p99', wait(queue, queue.wait_p99_seconds)),
    cell('in', 'In/s', rate(queue.enqueued_per_second)),
    cell('out', 'Done/s', rate(queue.completed_per_second)),
    h('td', { class: `failed ${queue.failed_per_second >= 0.05 ? 'text-failed' : ''}`, 'data-label': 'Failed/s' },
      rate(queue.failed_per_second)),
    cell('drain', 'Drains in', drain(queue)),
    cell('workers', 'Busy', queue.concurrency == null ? UNKNOWN : servesOthers(queue)
      ? h('span', { class: 'muted', title: 'Its servers work for other queues' }, UNKNOWN, hidden(' with this queue'))
      : `${count(queue.busy_workers)}/${count(queue.concurrency)}`),
    h('td', { class: 'spark' }, sparkline(history.column(name, 'pending'))));
}

/** Below the name: what is wrong, else who serves the queue. */
function second(queue) {
  const sentence = queue.trouble_sentence;
  if (sentence) return h('bdi', null, shown(withoutName(sentence, queue.queue)).replaceAll('`', ''));
  if (queue.consumers == null) return '';
  return queue.consumers === 0 ? 'no server' : plural(queue.consumers, 'server');
}

/** "imports has been paused" below "imports" says it twice. */
function withoutName(sentence, name) {
  const start = said(name);
  return sentence.startsWith(start) ? sentence.slice(start.length).replace(/^[\s:,]+/, '') : sentence;
}

function nothing(document, settings) {
  if (settings.filter) return `No queue has “${settings.filter}” in its name${settings.trouble ? ' and is in trouble' : ''}.`;
  return `None of ${plural(document.queues.length, 'queue')} is in trouble.`;
}
