// The whole of what an ellipsis cut, at the pointer and at the focus.

class Tooltips {
  constructor() {
    this.box = document.createElement('div');
    this.box.className = 'tooltip';
    this.box.setAttribute('aria-hidden', 'true');
    this.box.hidden = true;
    document.body.append(this.box);
    document.addEventListener('pointerover', (event) => this.show(event.target));
    document.addEventListener('focusin', (event) => this.show(event.target));
    document.addEventListener('focusout', () => this.hide());
    document.addEventListener('scroll', () => this.hide(), { passive: true, capture: true });
    document.addEventListener('keydown', (event) => {
      if (event.key === 'Escape') this.hide();
    });
  }

  /** Looks for what is cut, a moment after the page was drawn: measuring costs more than drawing. */
  prepare() {
    if (this.anchor && !this.anchor.isConnected) this.hide();
    this.timer ??= setTimeout(() => this.measure(), 100);
  }

  /** What is cut can have the focus, so that the keyboard gets at the whole, too. */
  measure() {
    this.timer = null;
    const nodes = [...document.querySelectorAll('.cut')];
    const areCut = nodes.map((node) => node.scrollWidth > node.clientWidth + 1 || node.scrollHeight > node.clientHeight + 2);
    nodes.forEach((node, index) => {
      if (node.hasAttribute('data-cut') === areCut[index]) return;
      node.toggleAttribute('data-cut', areCut[index]);
      if (node.closest('a, button')) return;
      if (areCut[index]) node.tabIndex = 0;
      else node.removeAttribute('tabindex');
    });
  }

  show(target) {
    const node = target.closest?.('[data-cut]') ?? target.querySelector?.(':scope > [data-cut]');
    if (!node) {
      this.hide();
      return;
    }
    this.anchor = node;
    this.box.textContent = node.textContent;
    this.box.hidden = false;
    const place = node.getBoundingClientRect();
    const below = place.bottom + 6 + this.box.offsetHeight < innerHeight;
    this.box.style.left = `${Math.max(8, Math.min(place.left, innerWidth - this.box.offsetWidth - 8))}px`;
    this.box.style.top = `${below ? place.bottom + 6 : Math.max(8, place.top - 6 - this.box.offsetHeight)}px`;
  }

  hide() {
    this.anchor = null;
    this.box.hidden = true;
  }
}

export const tooltips = new Tooltips();
