// Where one task is.

import { h } from './dom.js';
import { bytes, count } from './format.js';
import { ROOT } from './feed.js';
import { fact, foreign, hidden, moment, panel, queueLink, traceLink, when } from './parts.js';
import { due } from './queue.js';

/** Without a queue's name, so many queues are asked. */
const MOST_QUEUES = 50;

export class TaskView {
  constructor(redraw) {
    this.redraw = redraw;
    this.answer = null;
  }

  /** Looks for what the address says, once. */
  follow(queue, id, queues) {
    const wanted = JSON.stringify([queue, id]);
    if (this.wanted === wanted) return;
    this.wanted = wanted;
    Object.assign(this, { queue: queue ?? '', id: id ?? '', answer: null });
    if (id) this.find(queues);
  }

  async find(queues) {
    const { queue, id, wanted } = this;
    const candidates = queue ? [queue] : queues.map((one) => one.queue).slice(0, MOST_QUEUES);
    this.answer = { isSought: true };
    for (const candidate of candidates) {
      const answer = await ask(candidate, id);
      if (this.wanted !== wanted) return;
      this.answer = answer;
      if (answer.task || answer.failure) break;
    }
    if (candidates.length === 0) this.answer = { failure: 'No queue is known.' };
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
            placeholder: document.queues.length > MOST_QUEUES ? 'name of the queue' : 'any',
              required: document.queues.length > MOST_QUEUES, value: this.queue })),
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
    if (answer.failure) return h('p', { class: 'text-critical' }, foreign(answer.failure, 'whole'));
    if (!answer.task) return h('p', null,
      'There is no such task: it was completed without being kept, deleted, or never enqueued to this queue.');
    return found(answer.task, document.links, now);
  }
}

async function ask(queue, id) {
  try {
    const answer = await fetch(new URL(`api/v1/tasks/${encodeURIComponent(queue)}/${encodeURIComponent(id)}`, ROOT),
      { cache: 'no-store' });
    if (answer.status === 404) return {};
    const text = await answer.text();
    if (answer.ok) return { task: JSON.parse(text) };
    return { failure: reason(text) || `The collector answers ${answer.status}.` };
  } catch (error) {
    return { failure: `The collector does not answer: ${error.message}` };
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
      fact('Trace', task.trace_id && traceLink(task.trace_id, links))));
}
