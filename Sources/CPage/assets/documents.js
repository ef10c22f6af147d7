// What documents of the collector have. What stands in front of it may answer in its place with JSON of its own.

const isObject = (value) => value !== null && typeof value === 'object' && !Array.isArray(value);
const isList = (value) => Array.isArray(value) && value.every(isObject);
/** A list of what may be unknown. */
const isListOrNull = (value) => value == null || isList(value);
const have = (list, name) => list.every((one) => typeof one[name] === 'string');

const isHistory = (value) => isObject(value) && ['start', 'step', 'points'].every((name) => typeof value[name] === 'number');

export function isOverview(document) {
  return isObject(document) && typeof document.now === 'string' && isHistory(document.history)
    && ['collector', 'links', 'redis', 'totals', 'forwarder'].every((name) => isObject(document[name]))
    && ['attention', 'queues', 'errors', 'dead_letters', 'slowest_waits', 'memory'].every((name) => isList(document[name]))
    && isListOrNull(document.servers) && isListOrNull(document.cron)
    && have(document.attention, 'sentence') && have(document.queues, 'queue') && areErrors(document.errors)
    && document.queues.every((queue) => isObject(queue.history));
}

export function isQueue(document) {
  return isObject(document) && typeof document.queue === 'string' && isHistory(document.history)
    && ['task_types', 'errors', 'dead_letters', 'retries_due', 'slowest_waits'].every((name) => isList(document[name]))
    && isListOrNull(document.servers) && areErrors(document.errors);
}

export function areErrors(groups) {
  return isList(groups) && have(groups, 'queue') && have(groups, 'error');
}

export function isTrace(document) {
  return isObject(document) && isList(document.resourceSpans);
}

export function isTask(document) {
  return isObject(document) && typeof document.id === 'string' && typeof document.queue === 'string';
}

export function isSearch(document) {
  return isObject(document) && Array.isArray(document.queues) && document.queues.every((name) => typeof name === 'string');
}
