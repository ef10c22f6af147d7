// Where one task is.

import { h } from './dom.js';
import { age, bytes, count, named, plural } from './format.js';
import { isSearch, isTask } from './documents.js';
import { OTHER, ROOT } from './feed.js';
import { fact, foreign, hidden, link, moment, panel, queueLink, taskDocument, traceHint, traceLink, when } from './parts.js';
import { due } from './queue.js';

/** Queues besides the first one that are named. */
const MOST_OTHERS = 20;

/** The collector takes a few questions a second. */
const MOST_TRIES = 5;

export class TaskView {
  constructor(redraw) {
    this.redraw = redraw;
    this.answer = null;
  }

  /** Looks for what the address says, once. */
  follow(queue, id) {
    const wanted = JSON.stringify([queue, id]);
    if (this.wanted === wanted) return;
    this.wanted = wanted;
    Object.assign(this, { queue: queue ?? '', id: id ?? '', answer: null });
    if (id) this.find();
  }

  /** Without a queue, the collector looks into all that it knows. */
  async find() {
    const { queue, id, wanted } = this;
    this.answer = { isSought: true };
    const search = queue ? { queues: [queue] } : await ask(`api/v1/tasks?id=${encodeURIComponent(id)}`, isSearch);
    let answer = search;
    if (search.queues?.length > 0) {
      answer = { ...search, task: await ask(taskDocument(search.queues[0], id), isTask) };
    }
    if (this.wanted !== wanted) return;
    this.answer = { ...answer, arrivedAt: performance.now() };
    this.redraw();
  }

  view({ document, now }) {
    return h('div', { key: 'task', class: 'stack' },
      panel('Find a task', null,
        h('form', { class: 'tools', onsubmit: (event) => this.submit(event) },
          h('label', { class: 'field grow' }, h('span', null, 'Task id'),
            h('input', { id: 'task-id', name: 'id', required: true, autocomplete: 'off', spellcheck: 'false',
              value: this.id })),
          h('label', { class: 'field' }, h('span', null, 'Queue'),
            h('input', { id: 'task-queue', name: 'queue', list: 'queue-names', autocomplete: 'off', spellcheck: 'false',
              placeholder: 'any', value: this.queue })),
          h('datalist', { id: 'queue-names' }, document.queues.slice(0,
            500).map((queue) => h('option', { key: queue.queue, value: queue.queue }))),
          h('button', { type: 'submit', class: 'primary' }, 'Find')),
        h('div', { role: 'status' }, this.result(document, now))));
  }

  submit(event) {
    event.preventDefault();
    const { id, queue } = event.target.elements;
    location.hash = `#/task/${encodeURIComponent(queue.value)}/${encodeURIComponent(id.value.trim())}`;
    this.wanted = null; // The same task again: its state may have changed.
    this.redraw();
  }

  result(document, now) {
    const { answer } = this;
    if (!answer) return h('p', { class: 'muted' },
      'Says where a task is, why it failed, and shows its trace. The payload is never shown.');
    if (answer.isSought) return h('p', { class: 'muted' }, 'Looking…');
    const failure = answer.failure ?? answer.task?.failure;
    if (failure) return h('p', { class: 'text-critical' }, foreign(failure, 'whole'));
    const others = (answer.queues ?? []).slice(1);
    if (!answer.task?.id) return h('p', null, lookedAt(answer),
      'There is no such task: it was completed without being kept, deleted, or never enqueued.');
    const seen = age((performance.now() - answer.arrivedAt) / 1000);
    return [found(answer.task, document.links, now),
      h('p', { class: 'muted' }, `Read from Redis ${seen} ago. `, h('button', { type: 'button', class: 'again',
        onclick: () => { this.wanted = null; this.redraw(); } }, 'Look again')),
      others.length > 0 && h('p', { class: 'muted' },
      'Tasks of the same id are in ', others.slice(0, MOST_OTHERS).flatMap((queue, place) => [place > 0 && ', ',
        link(`#/task/${encodeURIComponent(queue)}/${encodeURIComponent(this.id)}`, h('bdi', null, named(queue)))]),
      others.length > MOST_OTHERS && ` and ${plural(others.length - MOST_OTHERS, 'more queue')}`, '.')];
  }
}

/** What was looked at, where that was more than one queue. */
function lookedAt({ looked_at: looked, known_queues: known }) {
  if (looked == null) return '';
  return looked < known ? `Looked into ${count(looked)} of ${plural(known, 'queue')}; name the queue to look into another. `
    : `Looked into ${plural(looked, 'queue')}. `;
}

/** A document; {failure} where there is none, {} for 404. */
async function ask(address, isDocument, tries = MOST_TRIES) {
  try {
    const answer = await fetch(new URL(address, ROOT), { cache: 'no-store' });
    if (answer.status === 404) return {};
    if (answer.status === 429 && tries > 1) {
      await new Promise((done) => { setTimeout(done, 1000 * (Number(answer.headers.get('Retry-After')) || 1)); });
      return ask(address, isDocument, tries - 1);
    }
    const text = await answer.text();
    if (answer.ok) return read(text, isDocument) ?? { failure: `${OTHER[0].toUpperCase()}${OTHER.slice(1)}.` };
    return { failure: reason(text) || `The collector answers ${answer.status}.` };
  } catch (error) {
    return { failure: `The collector does not answer: ${error.message}` };
  }
}

/** The document of a text; null where it is none of the collector's. */
function read(text, isDocument) {
  try {
    const document = JSON.parse(text);
    return isDocument(document) ? document : null;
  } catch {
    return null;
  }
}

/** Errors are text, or {"error": text}. */
function reason(text) {
  try {
    return JSON.parse(text).error ?? text;
  } catch {
    return text.trim();
  }
}

function found(task, links, now) {
  const at = (time) => time && (Date.parse(time) > now ? moment(time, due(time, now)) : when(time, now));
  return h('div', { class: 'found' },
    h('p', { class: 'headline' }, h('i', { class: `dot ${task.state}` }), h('b', null, task.state), hidden('; '),
      foreign(task.type, 'code'), ' in ', queueLink(task.queue)),
    task.last_error && h('pre', { tabindex: 0 }, foreign(task.last_error, 'whole')),
    h('dl', { class: 'facts' },
      fact('Id', foreign(task.id, 'code')),
      fact('Retried', task.retried == null ? null : `${count(task.retried)} of ${count(task.max_retry)}`),
      fact('Pending since', at(task.pending_since_at)),
      fact('Next run', at(task.next_run_at)),
      fact('Lease expires', at(task.lease_expires_at)),
      fact('Deadline', at(task.deadline_at)),
      fact('Last failed', at(task.last_failed_at)),
      fact('Archived', at(task.archived_at)),
      fact('Completed', at(task.completed_at)),
      fact('Worker', task.worker && [foreign(task.worker.host), ` process ${task.worker.pid}`,
        task.worker.started_at && [', for ', at(task.worker.started_at)]]),
      fact('Payload', task.payload_bytes == null ? null : bytes(task.payload_bytes)),
      fact('Trace', task.trace_id && traceLink(task.trace_id, links))),
    traceHint(links, task));
}
