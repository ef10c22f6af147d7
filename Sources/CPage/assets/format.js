// Numbers, times and foreign text, as people read them.

const grouped = new Intl.NumberFormat('en-US');

export const UNKNOWN = '–';

export function count(number) {
  return number == null ? UNKNOWN : grouped.format(number);
}

export function plural(number, one, many = `${one}s`) {
  return `${count(number)} ${number === 1 ? one : many}`;
}

export function rate(number) {
  if (number == null) return UNKNOWN;
  if (number === 0) return '0';
  if (number < 0.05) return '< 0.1';
  return number < 10 ? number.toFixed(1) : count(Math.round(number));
}

export function duration(seconds) {
  if (seconds == null) return UNKNOWN;
  if (seconds < 0.0005) return seconds > 0 ? '< 1 ms' : '0 s';
  if (seconds < 0.9995) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  if (seconds < 59.5) return `${Math.round(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return minutes % 60 ? `${hours} h ${minutes % 60} min` : `${hours} h`;
  const days = Math.floor(hours / 24);
  return hours % 24 && days < 10 ? `${days} d ${hours % 24} h` : `${days} d`;
}

/** A duration without fractions of a second, for what a clock counts. */
export function age(seconds) {
  return seconds != null && seconds < 59.5 ? `${Math.round(seconds)} s` : duration(seconds);
}

/** The last so many seconds, or fewer where the collector has not run so long: `last 15 min`. */
export function lately(seconds, document, now) {
  return `last ${age(Math.min(seconds, Math.max(1, Math.round((now - Date.parse(document.collector.started_at)) / 1000))))}`;
}

export function bytes(number) {
  if (number == null) return UNKNOWN;
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let unit = 0;
  while (number >= 1023.5 && unit < units.length - 1) {
    number /= 1024;
    unit += 1;
  }
  return `${number < 10 && unit > 0 ? number.toFixed(1) : Math.round(number)} ${units[unit]}`;
}

const two = (number) => String(number).padStart(2, '0');

/** The time of day, as the browser's clock has it, from milliseconds. */
export function clock(milliseconds, withSeconds = true) {
  const date = new Date(milliseconds);
  const minutes = `${two(date.getHours())}:${two(date.getMinutes())}`;
  return withSeconds ? `${minutes}:${two(date.getSeconds())}` : minutes;
}

/** What changes how its neighbours are shown: the program's SafeText has the same. */
const HARMFUL = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/;
const NAME_MOST = 120;

/** A name as sentences have it: its beginning, on one line. */
export function said(name) {
  const hex = (character) => character.codePointAt(0).toString(16).toUpperCase();
  return [...name].slice(0, NAME_MOST).map((character) => (!HARMFUL.test(character) ? character
    : /[\s\u0085]/.test(character) ? ' ' : `\\u{${hex(character)}}`)).join('').replace(/ +$/, '');
}

/** Foreign text, cut where it is endless, with control characters and what can't be seen made visible. */
export function shown(text) {
  const cut = text.length > 4000 ? `${text.slice(0, 4000)}…` : text;
  return cut.replace(/[\u0000-\u001f\u007f]/g,
    (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, '0').toUpperCase()}`)
    .replace(/[\u0080-\u009f\u00ad\u200b\u2028\u2029\u2060-\u2064\ufeff]/g,
      (character) => `\\u{${character.charCodeAt(0).toString(16).toUpperCase()}}`);
}
