// A chart of an hour: axes with units, a cursor for pointer and keyboard, a table in place of the picture.

import { h, patch } from './dom.js';
import { clock, UNKNOWN } from './format.js';

const HEIGHT = 190;
const LEFT = 52;
const RIGHT = 10;
const TOP = 10;
const BOTTOM = 24;
const MIN_SECONDS = 120;
const TABLE_ROWS = 30;

export class Chart {
  /** `series`: {name, label, off}, the lowest of a stack first; `off`: why it is not drawn at first. `format(value)` says a value with its unit. */
  constructor({ title, unit, series, format, stacked = false }) {
    Object.assign(this, { title, unit, series, format, stacked });
    this.off = new Set(series.filter((one) => one.off).map((one) => one.name));
    /** Where the cursor is, in Unix seconds; null without one. */
    this.cursor = null;
    this.width = 560;
    this.element = document.createElement('figure');
    this.element.className = 'chart';
    this.observer = new ResizeObserver(([entry]) => {
      const width = Math.round(entry.contentRect.width);
      if (width > 0 && width !== this.width) {
        this.width = width;
        this.draw();
      }
    });
    this.observer.observe(this.element);
  }

  /** `data`: {start, step, points} and an array of numbers by the name of each series; `latest`: the present numbers, by name. */
  show(data, latest) {
    this.data = data;
    this.latest = latest;
    this.draw();
  }

  close() {
    this.observer.disconnect();
  }

  get shownSeries() {
    return this.series.filter((one) => !this.off.has(one.name));
  }

  draw() {
    if (!this.data) return;
    const { start, step, points } = this.data;
    const span = Math.max(MIN_SECONDS, points * step);
    const end = start + points * step;
    this.scale = {
      x: (time) => LEFT + ((time - (end - span)) / span) * (this.width - LEFT - RIGHT),
      from: end - span, to: end,
    };
    this.layers = this.stacked ? stack(this.shownSeries, this.data)
      : this.shownSeries.map((one) => ({ ...one, top: this.data[one.name] ?? [] }));
    const most = Math.max(0, ...this.layers.flatMap((layer) => layer.top.filter((value) => value != null)));
    this.ticks = niceTicks(most);
    const ceiling = this.ticks.at(-1);
    this.scale.y = (value) => HEIGHT - BOTTOM - (value / ceiling) * (HEIGHT - TOP - BOTTOM);
    const isEmpty = this.layers.every((layer) => layer.top.every((value) => value == null));
    const index = this.index;
    patch(this.element, [
      h('figcaption', null, h('span', { class: 'title' }, this.title, h('small', null, this.unit)), this.legend()),
      h('div', { class: 'plot', role: 'slider', tabindex: 0, 'aria-label': `${this.title}: a moment of what is drawn`,
        'aria-valuemin': 0, 'aria-valuemax': Math.max(0, points - 1), 'aria-valuenow': index ?? Math.max(0, points - 1),
          'aria-valuetext': this.spoken(index ?? points - 1),
        onpointermove: (event) => this.point(event), onpointerleave: () => this.move(null), onblur: () => this.move(null),
        onkeydown: (event) => this.key(event) },
      this.picture(index), isEmpty && h('p', { class: 'empty' }, 'No values yet'), index != null && this.tip(index)),
      h('details', { ontoggle: (event) => { this.isTable = event.target.open; this.draw(); } },
        h('summary', null, 'Table'), this.isTable && this.table()),
    ]);
  }

  // --- The picture -------------------------------------------------------------------------------------------------

  picture(index) {
    const { x, y } = this.scale;
    const right = this.width - RIGHT;
    return h('svg:svg', { width: this.width, height: HEIGHT, viewBox: `0 0 ${this.width} ${HEIGHT}`, 'aria-hidden': 'true',
      focusable: 'false' },
      this.ticks.map((tick, place) => h('svg:g', { key: `y${place}`, class: 'tick' },
        h('svg:line', { x1: LEFT, x2: right, y1: y(tick), y2: y(tick) }),
        h('svg:text', { x: LEFT - 6, y: y(tick) + 4, 'text-anchor': 'end' }, this.format(tick)))),
      timeTicks(this.scale, this.width).map((time, place) => h('svg:g', { key: `x${place}`, class: 'tick' },
        h('svg:line', { x1: x(time), x2: x(time), y1: HEIGHT - BOTTOM, y2: HEIGHT - BOTTOM + 4 }),
        h('svg:text', { x: x(time), y: HEIGHT - 6, 'text-anchor': 'middle' }, clock(time * 1000, time % 60 !== 0)))),
      this.layers.map((layer) => h('svg:g', { key: layer.name, class: `series ${layer.name}` },
        this.stacked ? h('svg:path', { class: 'area', d: this.area(layer) })
          : h('svg:path', { class: 'line', d: this.line(layer.top) }))),
      index != null && h('svg:line', { key: 'cursor', class: 'cursor', x1: x(this.time(index)), x2: x(this.time(index)),
        y1: TOP, y2: HEIGHT - BOTTOM }),
      index != null && !this.stacked && this.layers.filter((layer) => layer.top[index] != null).map((layer) =>
        h('svg:circle', { key: `dot ${layer.name}`, class: `series ${layer.name}`, cx: x(this.time(index)),
          cy: y(layer.top[index]), r: 3.5 })));
  }

  time(index) {
    return this.data.start + (index + 0.5) * this.data.step;
  }

  line(values) {
    let path = '';
    let isOn = false;
    values.forEach((value, index) => {
      if (value != null) {
        const lone = !isOn && values[index + 1] == null;
        path += `${isOn ? 'L' : 'M'}${this.scale.x(this.time(index)).toFixed(1)} ${this.scale.y(value).toFixed(1)}${lone ? 'h.1' : ''}`;
      }
      isOn = value != null;
    });
    return path;
  }

  area({ top, bottom }) {
    let path = '';
    for (let from = 0; from < top.length; from += 1) {
      if (top[from] == null) continue;
      let to = from;
      while (to + 1 < top.length && top[to + 1] != null) to += 1;
      const above = [];
      const below = [];
      for (let index = from; index <= to; index += 1) {
        const x = this.scale.x(this.time(index)).toFixed(1);
        above.push(`${x} ${this.scale.y(top[index]).toFixed(1)}`);
        below.unshift(`${x} ${this.scale.y(bottom[index]).toFixed(1)}`);
      }
      path += `M${above.join('L')}L${below.join('L')}Z`;
      from = to;
    }
    return path;
  }

  // --- Cursor ------------------------------------------------------------------------------------------------------

  /** The point at the cursor; null without one. */
  get index() {
    if (this.cursor == null || !this.data.points) return null;
    const index = Math.floor((this.cursor - this.data.start) / this.data.step);
    return Math.min(this.data.points - 1, Math.max(0, index));
  }

  point(event) {
    const box = event.currentTarget.getBoundingClientRect();
    const share = (event.clientX - box.left - LEFT) / (this.width - LEFT - RIGHT);
    this.move(this.scale.from + Math.min(1, Math.max(0, share)) * (this.scale.to - this.scale.from));
  }

  move(time) {
    if (this.cursor === time) return;
    this.cursor = time;
    this.draw();
  }

  key(event) {
    const last = this.data.points - 1;
    const index = this.index ?? last + (event.key === 'ArrowLeft' || event.key === 'ArrowDown' ? 0 : -1);
    const steps = { ArrowLeft: index - 1, ArrowDown: index - 1, ArrowRight: index + 1, ArrowUp: index + 1, PageDown: index - 12,
      PageUp: index + 12, Home: 0, End: last };
    if (event.key === 'Escape') this.move(null);
    else if (event.key in steps) {
      event.preventDefault();
      this.move(this.time(Math.min(last, Math.max(0, steps[event.key]))));
    }
  }

  value(one, index) {
    return this.text(this.data[one.name]?.[index]);
  }

  text(value) {
    return value == null ? UNKNOWN : this.format(value);
  }

  spoken(index) {
    if (index == null || index < 0) return 'no values yet';
    return `${clock(this.time(index) * 1000)}: ${this.shownSeries.map((one) => `${one.label} ${this.value(one, index)}`).join(', ')}`;
  }

  tip(index) {
    const x = this.scale.x(this.time(index));
    const isLeft = x > this.width / 2;
    return h('div', { key: 'tip', class: 'tip', 'aria-hidden': 'true',
      style: { left: isLeft ? 'auto' : `${x + 10}px`, right: isLeft ? `${this.width - x + 10}px` : 'auto' } },
    h('b', null, clock(this.time(index) * 1000)),
    [...this.shownSeries].reverse().map((one) => h('span', { key: one.name }, h('i', { class: `dot ${one.name}` }), one.label,
      h('b', null, this.value(one, index)))));
  }

  legend() {
    return h('span', { class: 'legend' }, this.series.map((one) => h('button',
      { key: one.name, type: 'button', 'aria-pressed': String(!this.off.has(one.name)), title: one.off || null,
      onclick: () => { if (!this.off.delete(one.name)) this.off.add(one.name); this.draw(); } },
    h('i', { class: `dot ${one.name}` }), one.label, h('b', null, this.text(this.latest[one.name])))));
  }

  table() {
    const { points } = this.data;
    const every = Math.max(1, Math.ceil(points / TABLE_ROWS));
    const rows = [];
    for (let index = points - 1; index >= 0; index -= every) rows.push(index);
    return h('div', { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': `${this.title} as a table` }, h('table', null,
      h('thead', null, h('tr', null, h('th', { scope: 'col' }, 'Time'),
        this.series.map((one) => h('th', { scope: 'col', class: 'n' }, one.label)))),
      h('tbody', null, rows.map((index) => h('tr', { key: this.time(index) },
        h('th', { scope: 'row' }, clock(this.time(index) * 1000)),
        this.series.map((one) => h('td', { class: 'n' }, this.value(one, index))))))));
  }
}

/** Each series on top of the ones before it. A point is unknown where all of them are. */
function stack(series, data) {
  const floor = new Array(data.points).fill(0);
  const isKnown = floor.map((_, index) => series.some((one) => data[one.name]?.[index] != null));
  return series.map((one) => {
    const bottom = floor.map((value, index) => (isKnown[index] ? value : null));
    for (let index = 0; index < floor.length; index += 1) floor[index] += data[one.name]?.[index] ?? 0;
    return { ...one, bottom, top: floor.map((value, index) => (isKnown[index] ? value : null)) };
  });
}

/** From zero in three to five round steps to what is above `most`. */
export function niceTicks(most) {
  if (!(most > 0)) return [0, 1];
  const rough = most / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((candidate) => candidate >= rough * 0.999);
  const ticks = [];
  for (let tick = 0; tick < most + step * 0.999; tick += step) ticks.push(Number(tick.toPrecision(10)));
  return ticks;
}

/** Full minutes, so many that their texts do not touch. */
function timeTicks({ from, to }, width) {
  const most = Math.max(2, Math.floor(width / 90));
  const step = [30, 60, 120, 300, 600, 900, 1200, 1800, 3600].find((seconds) => (to - from) / seconds <= most) ?? 3600;
  const edge = ((to - from) / width) * 18;
  const ticks = [];
  for (let time = Math.ceil(from / step) * step; time <= to - edge; time += step) ticks.push(time);
  return ticks;
}
