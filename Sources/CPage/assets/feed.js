// Asks for a document again and again, while the page can be seen.

const PERIOD = 2000;
const PATIENCE = 30000;
const LONGEST_PERIOD = 10000;

/** Why JSON that is none of the collector's documents is not shown. */
export const OTHER = 'the answer comes from another program, or from a collector of another version';

/** The folder that holds `/`, wherever the page is mounted: this file is <root>assets/<hash>/feed.js. */
export const ROOT = new URL('../../', import.meta.url);

/** What stands before the collector may answer in its place, with a page to log in for example. */
async function documentOf(answer, isDocument, signal) {
  const text = await answer.text();
  signal.throwIfAborted();
  let document = null;
  try {
    document = JSON.parse(text);
  } catch {
    const type = answer.headers.get('Content-Type')?.split(';')[0] || 'unknown';
    throw new Error(`the answer is not JSON (its type is ${type})`);
  }
  if (!isDocument(document)) throw new Error(OTHER);
  return document;
}

/** Why there is no such thing: {"error": text}. */
async function reasonOf(answer) {
  try {
    const { error } = await answer.json();
    return typeof error === 'string' && error !== '' ? error : null;
  } catch {
    return null;
  }
}

export class Feed {
  /**
   * `address()` says what to ask for, relative to ROOT; null stands for nothing. `receive(document)` gets each new one of which
   * `isDocument(document)` is true, and `changed()` is called after each attempt. Answers of the statuses `missing` say that there
   * is no such thing.
   */
  constructor(address, isDocument, receive, changed, missing = []) {
    Object.assign(this, { address, isDocument, receive, changed, missing });
    /** When the collector last answered, in milliseconds of performance.now(). */
    this.answeredAt = null;
    /** Since when there has been no answer to what was asked; null where nothing is asked. */
    this.askedAt = null;
    /** Why the last attempt failed; null where it did not. */
    this.failure = null;
    /** Whether there is no such thing, and why, as far as the collector says it. */
    this.isMissing = false;
    this.reason = null;
    this.etag = { address: null, value: null };
    this.failures = 0;
    document.addEventListener('visibilitychange', () => {
      if (!document.hidden && !this.current) this.again(0);
    });
  }

  /** Asks in `delay` milliseconds, in place of whatever was to come. */
  again(delay) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.ask(), delay);
  }

  stop() {
    clearTimeout(this.timer);
    this.current?.abort();
    this.current = null;
    this.askedAt = null;
  }

  /** Whether answers are late: the last attempt failed, or has had no answer for so many milliseconds. */
  isLate(milliseconds) {
    return this.failure != null || (this.askedAt != null && performance.now() - this.askedAt > milliseconds);
  }

  /** Another document from now on. */
  restart() {
    this.stop();
    Object.assign(this, { etag: { address: null, value: null }, failure: null, isMissing: false, reason: null, answeredAt: null,
      failures: 0 });
    this.again(0);
  }

  take(document) {
    try {
      this.receive(document);
    } catch (error) {
      throw new Error(OTHER, { cause: error });
    }
  }

  async ask() {
    const address = this.address();
    if (address == null || document.hidden) return;
    this.stop();
    const request = new AbortController();
    this.current = request;
    const began = performance.now();
    this.askedAt = began;
    const patience = setTimeout(() => request.abort(new Error(`no answer within ${PATIENCE / 1000} s`)), PATIENCE);
    try {
      const headers = this.etag.value && this.etag.address === address ? { 'If-None-Match': this.etag.value } : {};
      const answer = await fetch(new URL(address, ROOT), { headers, cache: 'no-store', signal: request.signal });
      const isMissing = this.missing.includes(answer.status);
      if (answer.status !== 304 && !isMissing && !answer.ok) throw new Error(`the collector answers ${answer.status}`);
      const document = answer.ok ? await documentOf(answer, this.isDocument, request.signal) : null;
      const reason = isMissing ? await reasonOf(answer) : null;
      if (this.current !== request) return;
      if (document) {
        this.take(document);
        this.etag = { address, value: answer.headers.get('ETag') };
      }
      Object.assign(this, { answeredAt: performance.now(), failure: null, isMissing, reason, failures: 0 });
    } catch (error) {
      if (this.current !== request) return;
      this.failures += 1;
      this.failure = error.message;
    } finally {
      clearTimeout(patience);
      if (this.current === request) Object.assign(this, { current: null, askedAt: null });
    }
    this.changed();
    const period = this.isMissing ? LONGEST_PERIOD : Math.min(PERIOD * 2 ** Math.max(0, this.failures - 3), LONGEST_PERIOD);
    this.again(Math.max(200, period - (performance.now() - began)));
  }
}
