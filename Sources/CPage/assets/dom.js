// Makes the document look as described, and touches only what differs: focus, selection and scroll position stay.

const SVG = 'http://www.w3.org/2000/svg';
const PROPERTIES = new Set(['value', 'checked', 'disabled', 'hidden']);

/** Describes an element. `svg:` before the tag makes an SVG element. Children may be nested lists; null, false and '' are left out. */
export function h(tag, props, ...children) {
  return { tag, props: props ?? {}, key: props?.key, children: present(children) };
}

function present(children) {
  return children.flat(Infinity).filter((child) => child != null && child !== false && child !== '');
}

/** Makes the children of `parent` those that are described. An element with a key stays the same element wherever it moves. */
export function patch(parent, described) {
  const children = distinct(present([described]));
  const wanted = new Set(children.map((child) => child.key).filter((key) => key !== undefined));
  const known = new Map();
  for (const node of [...parent.childNodes]) {
    if (node.$key === undefined) continue;
    if (wanted.has(node.$key)) known.set(node.$key, node);
    else node.remove();
  }
  let at = parent.firstChild;
  for (const child of children) {
    // The element that stands here belongs further down: out of the way, so that those behind it need not move.
    while (child.key !== undefined && at && at.$key !== child.key && at.nextSibling
      && at.nextSibling === known.get(child.key)) {
      const next = at.nextSibling;
      place(parent, at, null);
      at = next;
    }
    const node = found(at, child, known);
    if (node === at) at = at.nextSibling;
    else place(parent, node, at);
    if (typeof child === 'object') update(node, child);
  }
  while (at) {
    const next = at.nextSibling;
    at.remove();
    at = next;
  }
}

/** A repeated key gets a number: data decide on keys, and two elements can't be one. */
function distinct(children) {
  const times = new Map();
  for (const child of children) {
    if (child.key === undefined) continue;
    const time = times.get(child.key) ?? 0;
    times.set(child.key, time + 1);
    if (time > 0) child.key = `${child.key} again ${time}`;
  }
  return children;
}

function found(at, child, known) {
  if (typeof child !== 'object') {
    const text = String(child);
    if (at?.nodeType !== Node.TEXT_NODE) return document.createTextNode(text);
    if (at.data !== text) at.data = text;
    return at;
  }
  const candidate = child.key === undefined ? at : known.get(child.key);
  const fits = candidate?.nodeType === Node.ELEMENT_NODE && candidate.$tag === child.tag && candidate.$key === child.key;
  return fits ? candidate : create(child);
}

function create({ tag, key, props }) {
  const node = tag.startsWith('svg:') ? document.createElementNS(SVG, tag.slice(4)) : document.createElement(tag);
  node.$tag = tag;
  node.$key = key;
  node.$props = {};
  props.made?.(node);
  return node;
}

/** moveBefore, where the browser has it, keeps the focus of what moves. */
function place(parent, node, before) {
  if (node.parentNode === parent && parent.moveBefore) parent.moveBefore(node, before);
  else parent.insertBefore(node, before);
}

function update(node, { props, children }) {
  const old = node.$props;
  for (const name in old) if (!(name in props)) set(node, name, null);
  for (const name in props) if (props[name] !== old[name]) set(node, name, props[name]);
  node.$props = props;
  if (!props.opaque) patch(node, children);
}

function set(node, name, value) {
  if (name === 'key' || name === 'made' || name === 'opaque') return;
  if (name.startsWith('on')) node[name] = value;
  else if (name === 'style') for (const property in value) node.style.setProperty(property, value[property]);
  else if (PROPERTIES.has(name)) {
    if (node[name] !== value) node[name] = value ?? '';
  } else if (value == null || value === false) node.removeAttribute(name);
  else if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value === true ? '' : value);
}
