// What several views are made of.

import { h } from './dom.js';
import { age, count, duration, named, shown, shownLines, shownOnOneLine, UNKNOWN } from './format.js';
import { ROOT } from './feed.js';

/** In the order of the bar. */
export const STATES = ['active', 'pending', 'retry', 'scheduled', 'aggregating', 'archived', 'completed'];

/** What waits for nothing more. */
const OVER = new Set(['archived', 'completed']);

export const RANKS = { critical: 3, warning: 2, info: 1 };

const ICONS = {
  critical: 'M8 1.6 15.2 14.4H.8Z',
  warning: 'M8 1.2 14.8 8 8 14.8 1.2 8Z',
  info: 'M8 1.5a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13Z',
  good: 'M3 8.4 6.6 12 13.2 4.6',
};

/** A shape for each severity, so that colour is not all that tells them apart. */
export function icon(severity) {
  return h('svg:svg', { class: `icon ${severity}`, viewBox: '0 0 16 16', 'aria-hidden': 'true', focusable: 'false' },
    h('svg:path', { d: ICONS[severity] }));
}

export function hidden(text) {
  return h('span', { class: 'hidden' }, text);
}

/**
 * Foreign text: isolated from the direction of what surrounds it; where it is cut, the tooltip has the whole. The class `whole`
 * keeps its lines, and `clamp` is for texts that may have several and have room for few.
 */
export function foreign(text, className = '') {
  if (text == null || text === '') return UNKNOWN;
  const show = className === 'whole' ? shownLines : className.startsWith('clamp') ? shownOnOneLine : shown;
  return h('bdi', { class: `cut ${className}` }, show(text));
}

export function link(href, ...children) {
  return h('a', { href }, children);
}

export function outside(href, ...children) {
  return h('a', { href, target: '_blank', rel: 'noopener noreferrer' }, children);
}

/** Browsers take these names for folders, even where they are percent-encoded, and an empty one leaves no path. */
const isFolder = (name) => name === '' || name === '.' || name === '..';

/** Where the collector has the document of a queue, relative to ROOT. */
export function queueDocument(queue) {
  return `api/v1/queues${isFolder(queue) ? '?name=' : '/'}${encodeURIComponent(queue)}`;
}

/** Where it says of a task. */
export function taskDocument(queue, id) {
  const names = [queue, id].map(encodeURIComponent);
  return isFolder(queue) || isFolder(id) ? `api/v1/tasks?queue=${names[0]}&id=${names[1]}` : `api/v1/tasks/${names.join('/')}`;
}

export const queueAddress = (queue) => `#/queue/${encodeURIComponent(queue)}`;

export function queueLink(queue) {
  return h('a', { href: queueAddress(queue), class: 'cut' }, h('bdi', null, named(queue)));
}

export function taskLink(queue, id) {
  if (!id) return UNKNOWN;
  return h('a', { href: `#/task/${encodeURIComponent(queue)}/${encodeURIComponent(id)}`, class: 'cut code' },
    h('bdi', null, shown(id)));
}

/** A trace id, as a link where there is something that shows it; the tooltip of a plain one has the whole and says how to get there. */
export function traceLink(id, links) {
  if (!id) return UNKNOWN;
  const text = id.slice(0, 8);
  const address = links?.trace && web(links.trace.replaceAll('{trace_id}', encodeURIComponent(id)));
  if (!address) return h('code', { title: [id, links?.trace_hint].filter(Boolean).join('. ') }, text);
  const label = { href: address, 'aria-label': `Trace ${id}`, title: id };
  return h('a', isGrafana(links) ? { ...label, target: '_blank', rel: 'noopener noreferrer' } : label, h('code', null, text));
}

/** Whether traces are opened in Grafana, and not on a page of the collector's. */
export const isGrafana = (links) => Boolean(links?.trace?.includes('://'));

/** How to make links of trace ids that are plain text; null where there are none. */
export function traceHint(links, ...lists) {
  const ids = lists.flat().map((one) => one.trace_id ?? one.example?.trace_id);
  return links.trace_hint && ids.some(Boolean) && h('p', { key: 'trace hint', class: 'muted' }, links.trace_hint);
}

/** The address below ROOT, if it leads to the web; else null. */
export function web(address) {
  try {
    const url = new URL(address, ROOT);
    return url.protocol === 'http:' || url.protocol === 'https:' ? url.href : null;
  } catch {
    return null;
  }
}

export function panel(title, props, ...children) {
  const { note, key, className = '' } = props ?? {};
  return h('section', { key: key ?? title, class: `panel ${className}`, 'aria-label': title },
    h('h2', null, title, note && h('small', null, note)), children);
}

/**
 * A table that becomes a list of cards on a narrow screen. A column is {title, cell(row), kind}: kind is 'n' for numbers, 'wide'
 * for text that may wrap.
 */
export function table(label, columns, rows, key, empty) {
  if (rows.length === 0) return h('p', { class: 'empty' }, empty);
  return h('table', { class: 'cards', 'aria-label': label },
    h('thead', null, h('tr', null, columns.map((column) => h('th', { scope: 'col', class: column.kind }, column.title)))),
    h('tbody', null, rows.map((row, index) => h('tr', { key: key?.(row, index) ?? index },
      columns.map((column) => h('td', { class: column.kind, 'data-label': column.title },
        h('div', { class: 'cell' }, column.cell(row))))))));
}

/**
 * The states of a queue as one bar. Its numbers stand beside it, so that it is nothing but a picture. Tasks that are over, kept
 * by the thousand, would hide the work that is left.
 */
export function bar(queue) {
  return h('span', { class: 'bar', 'aria-hidden': 'true' },
    STATES.filter((state) => !OVER.has(state) && queue[state] > 0).map((state) =>
      h('span', { key: state, class: `fill ${state}`, style: { 'flex-grow': queue[state] } })));
}

export function stateNumbers(queue) {
  const states = STATES.filter((state) => queue[state] > 0);
  if (states.length === 0) return h('span', { class: 'muted' }, queue.pending == null ? 'not read from Redis' : 'no tasks');
  return states.map((state) => h('span', { key: state, class: 'count' }, h('i', { class: `dot ${state}` }),
    `${count(queue[state])} ${state}`));
}

/** How much of something is used. Without a class of its own it has no colour, since a colour says what it is of. */
export function meter(part, whole, className = '') {
  const share = whole > 0 ? Math.min(1, part / whole) : 0;
  return h('span', { class: 'meter', 'aria-hidden': 'true' },
    h('span', { class: `fill ${className}`, style: { width: `${(share * 100).toFixed(1)}%` } }));
}

/** "4 min ago" from an RFC 3339 time. */
export function ago(time, now) {
  return time ? `${age(elapsed(time, now))} ago` : UNKNOWN;
}

/** Whole seconds since an RFC 3339 time. */
export function elapsed(time, now) {
  return time ? Math.max(0, Math.floor((now - Date.parse(time)) / 1000)) : null;
}

/** A time as an element that says the exact moment. */
export function moment(time, text) {
  return time ? h('time', { datetime: time, title: new Date(time).toLocaleString() }, text) : UNKNOWN;
}

/** How long ago, with the exact moment. */
export function when(time, now) {
  return moment(time, ago(time, now));
}

/** What has to be known before anything else on the page. */
export function notice(severity, title, text) {
  return h('div', { key: `notice ${title}`, class: `notice ${severity}` }, icon(severity),
    h('div', null, h('b', null, h('bdi', null, title)), h('p', null, text)));
}

/** One entry of a list of facts; null where there is nothing to say. */
export function fact(title, value) {
  if (value == null || value === false) return null;
  return h('div', { key: title }, h('dt', null, title), h('dd', null, value));
}

/** A task in a table: queue and type, the id below them. */
export function taskCell(queue, type, id, withQueue = true) {
  return [h('div', { class: 'pair' }, withQueue && queueLink(queue), foreign(type, 'code')),
    id && h('div', { class: 'sub' }, taskLink(queue, id))];
}

/** How long until nothing is pending, in the words of `top`. */
export function drain(queue) {
  if (queue.paused) return h('span', { class: 'text-warning' }, 'paused');
  if (queue.pending === 0) return UNKNOWN;
  if (queue.drains === 'steady') return h('span', { class: 'muted', title: 'As many tasks come as are started' }, 'steady');
  return queue.drains === 'no' ? h('span', { class: 'text-warning' }, 'never') : duration(queue.drain_seconds);
}

/** Whether all busy workers of its servers are busy with other queues. */
export function servesOthers(queue) {
  return queue.paused && queue.active === 0 && queue.busy_workers > 0;
}

/** A quantile of a queue's wait, with a mark where it was sampled. */
export function wait(queue, seconds) {
  if (queue.wait_origin !== 'redis' || seconds == null) return duration(seconds);
  return h('span', { title: 'Sampled in Redis, since no span tells of this queue: short waits are mostly missing' },
    h('span', { class: 'mark', 'aria-hidden': 'true' }, '≈'), hidden('sampled in Redis: '), duration(seconds));
}
