// A trace as a waterfall, from the spans that are still in memory.

import { h } from './dom.js';
import { count, duration, plural, UNKNOWN } from './format.js';
import { fact, foreign, hidden, icon, isGrafana, link, notice, outside, panel, traceLink, web } from './parts.js';

const KINDS = ['', 'internal', 'server', 'client', 'producer', 'consumer'];
const MOST_SPANS = 2000;
const TRACE_ID = /^(?!0+$)[0-9a-f]{1,32}$/i;

/** Milliseconds. A stamp before this was counted in another unit, or by a clock that was never set. */
const EARLIEST = Date.UTC(2000);
const DAY = 86_400_000;
/** No task runs for so long. */
const MONTH = 31 * DAY;

/** The spans of an OTLP/JSON document as a tree, in the order of the rows. Times are milliseconds. */
export function spansOf(document) {
  const spans = [];
  for (const resource of document.resourceSpans ?? []) {
    const attributes = resource.resource?.attributes ?? [];
    const service = attributes.find((attribute) => attribute.key === 'service.name')?.value?.stringValue;
    for (const scope of resource.scopeSpans ?? []) {
      for (const span of scope.spans ?? []) {
        spans.push({ ...span, service, resource: attributes });
      }
    }
  }
  const isPast = (time) => time >= EARLIEST && time <= Date.now() + DAY;
  const stamps = spans.flatMap((span) => [milliseconds(span.startTimeUnixNano), milliseconds(span.endTimeUnixNano)])
    .filter(isPast).sort((a, b) => a - b);
  const usual = stamps[Math.floor(stamps.length / 2)];
  // Another stamp would stretch the trace to years: it says nothing.
  const known = (nanoseconds) => {
    const time = milliseconds(nanoseconds);
    return isPast(time) && Math.abs(time - usual) < MONTH ? time : 0;
  };
  return inRows(spans.map((span) => placed(span, known)));
}

function inRows(spans) {
  spans.sort((a, b) => a.start - b.start || a.end - b.end);
  const byID = new Map(spans.map((span) => [span.spanId, span]));
  const roots = [];
  for (const span of spans) {
    const parent = byID.get(span.parentSpanId);
    if (parent && parent !== span) parent.children.push(span);
    else roots.push(Object.assign(span, { isOrphan: Boolean(span.parentSpanId) }));
  }
  const rows = [];
  const seen = new Set();
  const rest = roots.map((span) => [span, 0]).reverse();
  while (rest.length > 0) {
    const [span, depth] = rest.pop();
    if (seen.has(span)) continue;
    seen.add(span);
    rows.push(Object.assign(span, { depth }));
    for (const child of [...span.children].reverse()) rest.push([child, depth + 1]);
  }
  // Spans that are one another's ancestors have no root.
  for (const span of spans) if (!seen.has(span)) rows.push(Object.assign(span, { depth: 0 }));
  return rows;
}

/** `known(nanoseconds)`: the time in milliseconds; 0 where it is missing, or says nothing. */
function placed(span, known) {
  const start = known(span.startTimeUnixNano);
  const end = known(span.endTimeUnixNano);
  const kindName = typeof span.kind === 'number' ? KINDS[span.kind] : String(span.kind ?? '').replace('SPAN_KIND_', '').toLowerCase();
  return {
    // Without a start, a span stands at its end; with neither, at the begin of the trace.
    ...span, start: start || end, hasStart: start > 0, hasEnd: end > 0, kindName, children: [],
    // Clocks of different machines differ, and a span may be sent without an end.
    end: Math.max(start, end),
    events: span.events?.map((event) => ({ ...event, time: known(event.timeUnixNano) })),
    isError: span.status?.code === 2 || span.status?.code === 'STATUS_CODE_ERROR',
  };
}

const milliseconds = (nanoseconds) => Number(BigInt(nanoseconds ?? 0) / 1000n) / 1000;

export class TraceView {
  constructor(id) {
    this.id = id;
    /** The ids of the spans whose details are shown; null before there are spans. */
    this.isOpen = null;
  }

  /** Opens the first failed span below which none has failed: it says why. */
  openCause() {
    const cause = this.rows.find((span) => span.isError && !span.children.some((child) => child.isError));
    this.isOpen = new Set(cause ? [cause.spanId] : []);
  }

  take(document) {
    this.rows = spansOf(document);
    this.leftOut = document.leftOutSpans ?? 0;
    if (this.isOpen == null) this.openCause();
    const dated = this.rows.filter((span) => span.end > 0);
    this.begin = dated.length > 0 ? Math.min(...dated.map((span) => span.start)) : 0;
    this.end = Math.max(...dated.map((span) => span.end), this.begin);
  }

  view({ links, isMissing, reason, failure, redraw, home }) {
    this.redraw = redraw;
    return h('div', { key: `trace ${this.id}`, class: 'opened' },
      h('div', { class: 'heading' }, h('a', { href: home, class: 'back' }, '← Queues'),
        h('h1', null, 'Trace ', h('bdi', { class: 'code cut long' }, this.id)),
        this.rows && h('span', { class: 'end' }, link(web(`api/v1/traces/${encodeURIComponent(this.id)}`), 'As JSON'))),
      failure && notice('critical', 'The trace can not be read now', `${failure}. The page tries again.`),
      this.rows ? this.waterfall(links) : !failure && h('p', { class: 'empty panel' }, isMissing
        ? this.missing(links, reason ?? 'no span of this trace is in memory') : 'Loading…'));
  }

  /** Why there is nothing to draw, and where to look instead. */
  missing(links, reason) {
    const said = reason[0].toUpperCase() + reason.slice(1);
    if (!TRACE_ID.test(this.id)) return `${said}.`;
    if (links.trace_hint) return `${said}. ${links.trace_hint}`;
    if (isGrafana(links)) {
      return [`${said}. The trace backend may have it: `,
        outside(web(links.trace.replaceAll('{trace_id}', encodeURIComponent(this.id))), 'Open in Grafana')];
    }
    return `${said}: it may be too old, or its spans went to another collector. The trace backend may still have it.`;
  }

  waterfall(links) {
    const { rows } = this;
    const errors = rows.filter((span) => span.isError).length;
    const services = new Set(rows.map((span) => span.service).filter(Boolean)).size;
    const whole = (this.end - this.begin) / 1000;
    const step = stepOf(whole);
    // How many steps the whole has.
    const steps = Math.max(whole, 0.001) / step;
    return panel('Spans', { note: [plural(rows.length, 'span'), services && plural(services, 'service'),
      errors && `${count(errors)} failed`, duration(whole)].filter(Boolean).join(' · ') },
      h('div', { class: 'ruler', 'aria-hidden': 'true' }, Array.from({ length: Math.floor(steps + 1.001) }, (_, place) =>
        h('span', { key: place, style: { left: `${(place / steps) * 100}%` } }, duration(place * step)))),
      h('ol', { class: 'waterfall', style: { '--step': `${100 / steps}%` } },
        rows.slice(0, MOST_SPANS).map((span, index) => this.row(span, index, links))),
      rows.length > MOST_SPANS && h('p', { class: 'muted' }, `${plural(rows.length - MOST_SPANS, 'more span')} not drawn.`),
      this.leftOut > 0
        && h('p', { class: 'muted' }, `${plural(this.leftOut, 'more span')} of this trace left out of the answer.`));
  }

  row(span, index, links) {
    const whole = Math.max(this.end - this.begin, 0.001);
    const isOpen = this.isOpen.has(span.spanId);
    const toggle = () => {
      if (!this.isOpen.delete(span.spanId)) this.isOpen.add(span.spanId);
      this.redraw();
    };
    const seconds = span.hasStart && span.hasEnd ? Math.max(0, span.end - span.start) / 1000 : null;
    return h('li', { key: `${span.spanId} ${index}`, class: span.isError ? 'critical' : '' },
      h('button', { type: 'button', class: 'span', 'aria-expanded': String(isOpen), onclick: toggle },
        h('span', { class: 'label', style: { '--depth': Math.min(span.depth, 12) } },
          span.isError && [icon('critical'), hidden('failed: ')], foreign(span.name || 'span without a name'),
          h('span', { class: 'sub' }, span.service && foreign(span.service), span.kindName)),
        h('span', { class: 'track' }, h('span', { class: `piece kind-${span.kindName}`, 'aria-hidden': 'true',
          style: { left: `${(Math.max(0, span.start - this.begin) / whole) * 100}%`,
            width: `${((span.end - span.start) / whole) * 100}%` } }),
        h('span', { class: 'took' }, duration(seconds)))),
      isOpen && this.details(span, links));
  }

  details(span, links) {
    return h('div', { class: 'details' },
      span.status?.message && h('pre', { tabindex: 0 }, foreign(span.status.message, 'whole')),
      h('dl', { class: 'facts' },
        fact('starts after', span.hasStart ? duration((span.start - this.begin) / 1000) : UNKNOWN),
          fact('span id', h('code', null, foreign(span.spanId))),
        span.isOrphan && fact('parent', h('span', null, h('code', null, foreign(span.parentSpanId)), ' (not in memory)'))),
      attributes('Attributes', span.attributes), attributes('Resource', span.resource),
      (span.events ?? []).map((event, index) => h('div', { key: `event ${index}` },
        h('h3', null, 'Event ', foreign(event.name), h('small', null,
          after(event, span))),
            attributes(null, event.attributes))),
      (span.links ?? []).map((one, index) => h('p', { key: `link ${index}` }, 'Link to trace ',
        traceLink(one.traceId, links))));
  }
}

const ROUND_SECONDS = [60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 28800, 43200, 86400];

/** The seconds between a ruler's marks: up to six marks that a duration says without rounding. */
function stepOf(whole) {
  const rough = Math.max(whole, 0.001) / 5;
  const power = 10 ** Math.floor(Math.log10(rough));
  const round = whole <= 60 ? [power, 2 * power, 5 * power, 10 * power] : ROUND_SECONDS;
  return Math.max(0.001, round.find((candidate) => candidate >= rough * 0.999) ?? Math.ceil(rough / 86400) * 86400);
}

/** When an event took place, as far as that is known. */
function after(event, span) {
  return event.time > 0 && span.hasStart ? ` after ${duration(Math.max(0, event.time - span.start) / 1000)}` : '';
}

function attributes(title, list) {
  if (!list?.length) return null;
  return h('div', { key: title ?? 'attributes' }, title && h('h3', null, title),
    h('dl', { class: 'attributes' }, list.map((attribute, index) => h('div', { key: index },
      h('dt', null, foreign(attribute.key)), h('dd', null, foreign(text(attribute.value), 'whole'))))));
}

/** An attribute's value as text. */
function text(value) {
  if (value == null) return '';
  if (value.arrayValue) return `[${(value.arrayValue.values ?? []).map(text).join(', ')}]`;
  if (value.kvlistValue) return `{${(value.kvlistValue.values ?? []).map((entry) => `${entry.key}: ${text(entry.value)}`).join(', ')}}`;
  return String(Object.values(value)[0] ?? '');
}
