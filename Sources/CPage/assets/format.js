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

/** How long something has lasted: whole seconds or minutes that are over, as sentences have it. */
export function age(seconds) {
  if (seconds == null) return UNKNOWN;
  return seconds < 60 ? `${Math.floor(seconds)} s` : duration(Math.floor(seconds / 60) * 60);
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
export const NAME_MOST = 120;

export const NO_NAME = '(no name)';

/** A name as sentences have it: its beginning, on one line. The program's VisibleText.name is the same. */
export function said(name) {
  if (name === '') return NO_NAME;
  const first = [...name].slice(0, NAME_MOST);
  const hex = (character) => `\\u{${character.codePointAt(0).toString(16).toUpperCase()}}`;
  if (isBlank(first.join(''))) return first.map(hex).join('');
  return first.map((character) => (!HARMFUL.test(character) ? character : /[\s\u0085]/.test(character) ? ' ' : hex(character)))
    .join('').replace(/ +$/, '');
}

/**
 * What can't be seen: control characters, and what takes no place. First stand those that belong to what is beside them: in emoji
 * and flags, behind ideographs and Mongolian letters, and joiners within words of scripts whose letters join. Marks that turn text
 * around show by what they do. The program's VisibleText has the same.
 */
const LETTERS = '[\u0620-\u08ff\u0900-\u0dff\u0f00-\u109f\u1780-\u17dd\u1820-\u18aa]';
const TAGS = '[\u{e0030}-\u{e0039}\u{e0061}-\u{e007a}]';
const JOINED = String.raw`(?<=(?![\0-\x7f])\p{Emoji})[\ufe0e\ufe0f]|\ufe0f(?=\u20e3)`
  + String.raw`|(?<=(?![\0-\x7f])\p{Emoji}\ufe0f?)\u200d(?=(?![\0-\x7f])\p{Emoji})`
  + `|(?<=${LETTERS})[\u200c\u200d](?=${LETTERS})|(?<=[\u1820-\u18aa])[\u180b-\u180d\u180f]`
  + String.raw`|(?<=\p{Ideographic})[\ufe00-\ufe02\u{e0100}-\u{e01ef}]`
  + `|(?<=\u{1f3f4})${TAGS}{3,6}\u{e007f}`;
const UNSEEN = new RegExp(`(${JOINED})|`
  + String.raw`(?![\u202a-\u202e\u2066-\u2069])[\p{Cc}\p{Default_Ignorable_Code_Point}\u2028\u2029\ufff9-\ufffb]`, 'gu');
/** A text of nothing but this, and of what can't be seen, has no ink. */
const BLANK = /^[\s\u2800\u202a-\u202e\u2066-\u2069\p{Cc}\p{Default_Ignorable_Code_Point}\ufff9-\ufffb]*$/u;
const isBlank = (text) => BLANK.test(text);

/** Foreign text, cut where it is endless, with everything in it to be seen. The characters of `kept` stay as they are. */
export function shown(text, kept = '') {
  if (/^[!-~][ -~]{0,3999}$/.test(text)) return text;
  const cut = text.length > 4000 ? `${text.slice(0, 4000)}…` : text;
  if (isBlank(cut)) return cut.replace(/[^]/gu, escaped);
  return cut.replace(UNSEEN, (character, joined) => (joined || kept.includes(character) ? character : escaped(character)));
}

function escaped(character) {
  const code = character.codePointAt(0);
  const hex = code.toString(16).toUpperCase();
  return code < 0x80 ? `\\x${hex.padStart(2, '0')}` : `\\u{${hex}}`;
}

/** The name of a queue. */
export function named(name) {
  return name === '' ? NO_NAME : shown(name);
}

/** Foreign text of several lines. */
export function shownLines(text) {
  return shown(text.replace(/\r\n?/g, '\n'), '\n\t');
}

/** Foreign text of several lines on one of them: ⏎ stands where one ends. */
export function shownOnOneLine(text) {
  return shown(/\S/.test(text) ? text.trim().replace(/\s*[\r\n]\s*/g, ' ⏎ ').replaceAll('\t', ' ') : text);
}
