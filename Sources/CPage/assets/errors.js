// Failures: grouped errors, dead letters, slowest waits.

import { h } from './dom.js';
import { count, duration, lately, plural, shown, UNKNOWN } from './format.js';
import { foreign, hidden, notice, panel, queueLink, table, taskCell, taskLink, traceHint, traceLink, web, when } from './parts.js';

/** How far back slow waits go, in seconds. */
export const WAITS = 900;
const MOST_ERRORS = 500;
const MOST_UNREAD = 10;

/** What the collector writes where there is no text of an error. */
const WITHOUT_TEXT = new Map([['_other', 'other errors'], ['_unknown', 'without a message']]);

/** Errors alike as one, each with an example that opens. */
export function errorList(errors, links, now, empty, withQueue = true) {
  if (errors.length === 0) return h('p', { class: 'empty' }, empty);
  return h('ul', { class: 'errors' }, errors.map((error) => h('li', { key: `${error.queue} ${error.task_type} ${error.error}` },
    h('div', { class: 'tally' },
      h('span', { class: error.attempts > 0 ? null : 'muted', title: 'Failed attempts whose span came' },
        h('b', null, error.attempts > 0 ? count(error.attempts) : UNKNOWN), error.attempts === 1 ? 'attempt' : 'attempts'),
      h('span', { class: error.dead_letters > 0 ? 'text-critical' : 'muted', title: 'Dead letters with this error, of those that were read' },
        h('b', null, count(error.dead_letters)), 'dead')),
    h('div', { class: 'what' },
      foreign(WITHOUT_TEXT.get(error.error) ?? error.error, 'clamp message'),
      h('div', { class: 'sub' }, withQueue && [queueLink(error.queue), h('span', { 'aria-hidden': 'true' }, '›')],
        foreign(error.task_type, 'code'),
        h('span', null, 'last ', when(error.last_seen_at, now),
          error.first_seen_at && [', first ', when(error.first_seen_at, now)]),
        error.example?.trace_id && h('span', null, 'trace ', traceLink(error.example.trace_id, links))),
      error.example && h('details', null, h('summary', null, 'Example', hidden(` of ${shown(error.error.slice(0, 60))}`)),
        h('pre', { tabindex: 0 }, foreign(error.example.error, 'whole')),
        h('div', { class: 'sub' }, 'Task ', taskLink(error.queue, error.example.task_id),
          error.example.at && when(error.example.at, now)))))));
}

/** Why groups have fewer attempts than dead letters. */
export function attemptsWithoutSpans(errors) {
  return errors.some((error) => error.attempts < error.dead_letters) && h('p', { key: 'attempts', class: 'muted' },
    'Attempts are counted from spans, dead letters from Redis; a panic may have another text in each.');
}

/** Why groups have fewer dead letters than there are, of each queue where that is so. */
export function unreadLetters(queues, withQueue = true) {
  return queues.filter((queue) => queue.unread_dead_letters_total > 0).slice(0, MOST_UNREAD).map((queue) => {
    const died = queue.dead_lettered_total;
    const read = died - queue.unread_dead_letters_total;
    return h('p', { key: `unread ${queue.queue}`, class: 'muted' }, withQueue && [queueLink(queue.queue), ': '],
      `${count(read)} of ${plural(died, 'dead letter')} ${read === 1 ? 'was' : 'were'} read; the others came too fast, and are in no group of errors.`);
  });
}

/** Which dead letters a list has: as many as there are, or the newest of them. */
export function newest(letters, archived) {
  return archived > letters.length && letters.length > 0 ? `the newest ${count(letters.length)} of ${count(archived)}`
    : 'newest first';
}

export function letterTable(letters, links, now, withQueue = true) {
  return table('Dead letters', [
    { title: 'Died', kind: 'n', cell: (row) => when(row.archived_at, now) },
    { title: 'Task', kind: 'wide', cell: (row) => taskCell(row.queue, row.type, row.id, withQueue) },
    { title: 'Error', kind: 'wide', cell: (row) => foreign(row.error, 'clamp') },
    { title: 'Retried', kind: 'n', cell: (row) => count(row.retried) },
    { title: 'Trace', cell: (row) => traceLink(row.trace_id, links) },
  ], letters, (row) => `${row.queue} ${row.id} ${row.archived_at}`, 'No dead letter has been seen.');
}

export function waitTable(waits, document, now, withQueue = true) {
  return table('Slowest waits', [
    { title: 'Wait', kind: 'n', cell: (row) => h('b', null, duration(row.seconds)) },
    { title: 'Task', kind: 'wide', cell: (row) => taskCell(row.queue, row.type, null, withQueue) },
    { title: 'Seen', kind: 'n', cell: (row) => when(row.observed_at, now) },
    { title: 'Trace', cell: (row) => traceLink(row.trace_id, document.links) },
  ], waits, (row) => `${row.queue} ${row.span_id} ${row.observed_at} ${row.seconds}`,
    `No wait was measured in the ${lately(WAITS, document, now)}.`);
}

/**
 * `all`: the groups of /api/v1/errors; null before they have come, for which the first ones of the overview stand. `failure`: why
 * they can't be read now.
 */
export function errorsView({ document, now }, all, failure) {
  const links = document.links;
  const errors = all ?? document.errors;
  const total = all?.length ?? document.errors_total ?? errors.length;
  const first = errors.slice(0, MOST_ERRORS);
  return h('div', { key: 'errors', class: 'stack' },
    failure && notice('critical', 'The list of errors can not be read now', `${failure}. It is as it was; the page tries again.`),
    panel('Errors', { note: `${plural(total, 'group')} of the ${lately(3600, document, now)}; numbers and ids are left out` },
      errorList(first, links, now, noErrors(document, now)), attemptsWithoutSpans(first), unreadLetters(document.queues),
      traceHint(links, first, document.dead_letters, document.slowest_waits),
      total > first.length && h('p', { class: 'muted' }, `${plural(total - first.length, 'more group')} not drawn: `,
        h('a', { href: web('api/v1/errors') }, '/api/v1/errors'))),
    panel('Dead letters', { note: newest(document.dead_letters, document.totals.archived) },
      letterTable(document.dead_letters, links, now)),
    panel('Slowest waits', { note: lately(WAITS, document, now) }, waitTable(document.slowest_waits, document, now)));
}

export function noErrors(document, now) {
  return `No error is known of the ${lately(3600, document, now)}. Errors come from spans and dead letters.`;
}
