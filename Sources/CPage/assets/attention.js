// What is wrong, worst first.

import { h } from './dom.js';
import { age, count, NAME_MOST, named, plural, said, shown } from './format.js';
import { elapsed, hidden, icon, moment, outside, queueAddress, queueLink, web } from './parts.js';

const SHORT = 6;

export class Attention {
  constructor(redraw) {
    this.isOpen = false;
    this.redraw = redraw;
  }

  view(document, now) {
    const items = document.attention;
    if (items.length === 0) return calm(document);
    // What concerns everything is seen at once, however many queues are worse off.
    const first = items.filter((item, place) => place < SHORT || item.global);
    const shownItems = this.isOpen ? items : first;
    const total = totalCount(document);
    const firing = firingCount(document);
    return h('section', { key: 'attention', class: 'attention', 'aria-label': 'Needs attention' },
      h('h2', null, 'Needs attention', h('small', null, [firing > 0 && count(firing),
        total > firing && `${count(total - firing)} to watch`].filter(Boolean).join(', and '))),
      h('ul', null, shownItems.map((item) => line(item, document.links, now))),
      items.length > first.length && h('button', { class: 'more', type: 'button', 'aria-expanded': String(this.isOpen),
        onclick: () => { this.isOpen = !this.isOpen; this.redraw(); } },
      this.isOpen ? 'Show fewer' : `Show ${count(items.length - first.length)} more`),
      this.isOpen && total > items.length && h('p', { class: 'muted' },
        `${plural(total - items.length, 'more condition')} not listed.`));
  }
}

/** What alerts tell of as well: neither remarks nor what has not lasted long enough. */
const isFiring = (item) => item.severity !== 'info' && item.firing !== false;
/** The document lists the worst and counts all. */
export const firingCount = (document) => document.attention_firing ?? document.attention.filter(isFiring).length;
export const totalCount = (document) => document.attention_total ?? document.attention.length;

/** Those of one queue, on its page: of its own document as its numbers are, before it has come of the overview. */
export function attentionOf(queue, document, own, now) {
  const items = own?.attention ?? document.attention.filter((item) => item.queue === queue);
  if (items.length === 0) return null;
  return h('section', { key: 'attention', class: 'attention', 'aria-label': 'Needs attention' },
    h('ul', null, items.map((item) => line(item, document.links, now, true))));
}

const isKnown = ({ redis }) => redis.state === 'read' || redis.state === 'off';

/** What is said where nothing is in the list. */
export function calmWords(document) {
  if (!isKnown(document)) return 'Nothing is known yet.';
  return document.looked_long_enough === false ? 'Nothing needs attention so far.' : 'Nothing needs attention.';
}

function calm(document) {
  const known = isKnown(document);
  const isEarly = document.looked_long_enough === false;
  return h('section', { key: 'calm', class: 'attention calm', 'aria-label': 'Needs attention' },
    h('p', null, known && !isEarly && icon('good'), h('b', null, calmWords(document)),
    known && h('span', { class: 'muted' }, isEarly ? `Some conditions take a minute to tell. Looking at ${document.looked_at}.`
      : `Looked at ${document.looked_at}.`)));
}

function line(item, links, now, isOfQueue = false) {
  const seconds = elapsed(item.since, now);
  const runbook = links.runbook && item.runbook && web(links.runbook + item.runbook);
  return h('li', { key: `${item.alert} ${item.queue ?? ''}`,
    class: `${item.severity} ${item.firing === false ? 'early' : ''}` },
    icon(item.severity), h('span', { class: 'sentence' }, hidden(`${item.severity}: `), sentence(item, isOfQueue)),
    h('span', { class: 'links' },
      item.firing === false && item.alert && h('span', { class: 'badge' }, 'not alerting yet'),
      seconds != null && h('span', { class: 'since' }, moment(item.since, `for ${age(seconds)}`)),
      runbook && outside(runbook, 'Runbook', hidden(` for ${item.alert ?? item.subject}`))));
}

/** The sentence, with the queue's name as a link and what stands in backticks as code. */
function sentence(item, isOfQueue) {
  const text = item.sentence;
  if (item.queue == null) return coded(text);
  const name = said(item.queue);
  if (!text.startsWith(name)) return isOfQueue ? coded(text) : [coded(text), ' ', queueLink(item.queue)];
  const first = h('bdi', null, named([...item.queue].slice(0, NAME_MOST).join('')));
  return [isOfQueue ? first : h('a', { href: queueAddress(item.queue) }, first), coded(text.slice(name.length))];
}

function coded(text) {
  return shown(text).split(/`([^`]*)`/).map((part, index) => (index % 2 ? h('code', null, h('bdi', null, part))
    : part && h('bdi', null, part)));
}
