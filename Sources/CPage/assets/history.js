// An hour of numbers of each queue, put together from documents that bring what is new.

const HOUR = 3600;

export class History {
  constructor() {
    this.clear();
  }

  clear() {
    /** Unix seconds of the first point, and of the end of the last one. */
    this.start = null;
    this.end = null;
    this.step = null;
    /** Queue → member → numbers. */
    this.queues = new Map();
  }

  /** What to ask for next, or null for the whole hour. */
  get since() {
    return this.end;
  }

  get points() {
    return this.start == null ? 0 : Math.round((this.end - this.start) / this.step);
  }

  /** How much of the past it has. */
  get seconds() {
    return this.points * (this.step ?? 0);
  }

  /** Takes what a document brings. Points that it has again are its own; points without a value are unknown. */
  merge({ start, step, points }, queues) {
    if (this.step !== step) this.clear();
    if (this.start == null) Object.assign(this, { start, step, end: start });
    let skipped = Math.round((start - this.start) / step);
    if (skipped < 0 || skipped * step > 2 * HOUR) {
      this.clear();
      Object.assign(this, { start, step, end: start });
      skipped = 0;
    }
    const total = skipped + points;
    const most = Math.max(points, Math.ceil(HOUR / step));
    const dropped = Math.max(0, total - most);
    const merged = new Map();
    for (const queue of queues) {
      const held = this.queues.get(queue.queue);
      if (held && points === 0 && skipped === this.points) {
        merged.set(queue.queue, held);
        continue;
      }
      const columns = {};
      for (const name in queue.history) {
        const column = held?.[name]?.slice(0, skipped) ?? [];
        while (column.length < skipped) column.push(null);
        for (const value of queue.history[name]) column.push(value);
        columns[name] = dropped > 0 ? column.slice(dropped) : column;
      }
      merged.set(queue.queue, columns);
    }
    this.queues = merged;
    this.end = start + points * step;
    this.start = this.end - (total - dropped) * step;
  }

  column(queue, name) {
    return this.queues.get(queue)?.[name] ?? [];
  }
}
