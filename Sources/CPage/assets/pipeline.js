// Spans on their way to the trace backend, and the collector's memory.

import { h } from './dom.js';
import { age, bytes, count, duration } from './format.js';
import { elapsed, fact, meter, moment, panel, table } from './parts.js';

export function pipelineView({ document, now }) {
  const { spans, forwarder, spool, collector } = document;
  return h('div', { key: 'pipeline', class: 'stack' },
    spans?.received === 0 && instructions(document),
    panel('Spans', { note: 'since the collector started' },
      spans ? flow(spans, spool) : h('p', { class: 'text-critical' }, 'The disk of the spool does not answer.')),
    h('div', { key: 'columns', class: 'columns' },
      panel('Forwarder', null, h('dl', { class: 'facts' },
        fact('State', h('span', { class: forwarder.up === false ? 'text-critical' : '' }, forwarder.state)),
        fact('Trace backend', collector.tempo ? h('bdi', { class: 'cut code' }, collector.tempo)
          : 'none (tempo.endpoint is none)'),
        forwarder.since && fact(forwarder.up ? 'Reachable for' : 'Unreachable for',
          moment(forwarder.since, age(elapsed(forwarder.since, now)))),
        spool && fact('Spool on disk', h('span', { class: 'used' }, meter(spool.bytes, spool.capacity_bytes),
          `${bytes(spool.bytes)} of ${bytes(spool.capacity_bytes)}`)),
        spool && fact('Oldest span in it', duration(spool.oldest_age_seconds)),
        spool && fact('Full in', spool.full_in_seconds == null ? 'not within 30 days' : duration(spool.full_in_seconds)))),
      panel('Memory', { note: 'of the collector, by part' }, memory(document.memory))));
}

/** What becomes of a span, from left to right. */
function flow(spans, spool) {
  const step = (title, number, ...more) => h('li', { key: title }, h('span', null, title), h('b', null, count(number)), more);
  return h('ol', { class: 'flow' },
    step('Received', spans.received, reasons('refused', spans.refused)),
    step('Accepted', spans.accepted, spans.duplicates > 0 && h('small', null, `${count(spans.duplicates)} came twice`)),
    spans.in_spool != null && step('In the spool', spans.in_spool, spool && h('small', null, `${bytes(spool.bytes)} on disk`),
      reasons('dropped', spans.dropped)),
    spans.forwarded != null && step('Forwarded', spans.forwarded));
}

function reasons(verb, counts) {
  return Object.entries(counts ?? {}).filter(([, number]) => number > 0).map(([reason, number]) =>
    h('small', { key: `${verb} ${reason}`, class: 'text-critical' }, `${count(number)} ${verb}: ${reason}`));
}

function memory(parts) {
  return table('Memory by part', [
    { title: 'Part', kind: 'wide', cell: (row) => h('code', null, row.part) },
    { title: 'Used', kind: 'n', cell: (row) => h('span', { class: 'used' },
      row.limit_bytes != null && meter(row.bytes, row.limit_bytes), h('b', null, bytes(row.bytes))) },
    { title: 'Limit', kind: 'n', cell: (row) => row.limit_bytes == null ? h('span', { class: 'muted' }, 'none')
      : bytes(row.limit_bytes) },
  ], parts, (row) => row.part, 'Nothing is known yet.');
}

/** Three lines that a worker needs, with an address at which this collector listens. */
export function instructions({ collector, hints }) {
  const addresses = collector.receives_at ?? [];
  const listed = addresses.flatMap((address, place) => [place > 0 && ', ', h('bdi', { class: 'code' }, address)]);
  return panel('No span has arrived yet', { className: 'hint' },
    addresses.length === 0 ? h('p', null, 'Queues and waits come from Redis alone: this collector receives no spans, since '
      + 'otlp.listen and otlp.socket are none.') : [
      h('p', null, 'Queues and waits come from Redis alone so far. For the wait of every task, failures by type, and traces, let '
        + 'a Go worker send its spans. They are received at ', listed, '.'),
      hints?.worker && h('pre', { tabindex: 0 }, h('code', null, hints.worker)),
    ]);
}
