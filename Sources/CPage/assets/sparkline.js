// The last hour of one number in a few pixels.

import { h } from './dom.js';
import { count } from './format.js';

const WIDTH = 100;
const HEIGHT = 24;
/** With fewer points the line begins in the middle, so that the first minutes are no scribble. */
const MIN_POINTS = 12;

const drawn = new WeakMap();

/** An image of the numbers, from zero to the largest; null where none is known. */
export function sparkline(values) {
  let path = drawn.get(values);
  if (path === undefined) {
    path = draw(values);
    drawn.set(values, path);
  }
  if (!path) return null;
  return h('svg:svg', { class: 'sparkline', viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: 'none', role: 'img',
    'aria-label': path.label },
    h('svg:path', { class: 'area', d: path.area }), h('svg:path', { class: 'line', d: path.line }));
}

function draw(values) {
  const known = values.filter((value) => value != null);
  if (known.length === 0) return null;
  const most = Math.max(...known, 1);
  const wide = Math.max(values.length, MIN_POINTS) - 1;
  const x = (index) => (((wide - (values.length - 1) + index) / wide) * WIDTH).toFixed(1);
  const y = (value) => (HEIGHT - 1.5 - (value / most) * (HEIGHT - 3)).toFixed(1);
  let line = '';
  let area = '';
  let begun = null;
  values.forEach((value, index) => {
    if (value == null) {
      if (begun != null) area += `L${x(index - 1)} ${HEIGHT}Z`;
      begun = null;
      return;
    }
    if (begun == null) area += `M${x(index)} ${HEIGHT}L${x(index)} ${y(value)}`;
    else area += `L${x(index)} ${y(value)}`;
    line += `${begun == null ? 'M' : 'L'}${x(index)} ${y(value)}`;
    begun = index;
  });
  if (begun != null) area += `L${x(begun)} ${HEIGHT}Z`;
  return { line, area,
    label: `Pending tasks: now ${count(known.at(-1))}, at most ${count(Math.max(...known))}` };
}
