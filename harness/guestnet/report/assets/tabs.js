// Tabs after the ARIA authoring practices: arrow keys move between them, only the current one is in the tab order.
import { h } from "./dom.js";

export class Tabs {
  #tabs;
  current = "";

  /** `tabs`: {id, title, count?, content}; ids are made unique by `prefix`. */
  constructor(prefix, tabs) {
    this.#tabs = tabs.map((tab) => ({ ...tab, ...this.#make(prefix, tab) }));
    this.element = h(
      "section",
      { class: "panel tabs", "aria-label": "Evidence" },
      h("div", { class: "tablist", role: "tablist", "aria-label": "Evidence", onkeydown: (event) => this.#key(event) }, this.#tabs.map((tab) => tab.button)),
      this.#tabs.map((tab) => tab.panel),
    );
    this.open(tabs[0].id);
  }

  open(id) {
    if (!this.#tabs.some((tab) => tab.id === id)) return;
    this.current = id;
    for (const tab of this.#tabs) {
      const on = tab.id === id;
      tab.button.setAttribute("aria-selected", on);
      tab.button.tabIndex = on ? 0 : -1;
      tab.panel.hidden = !on;
    }
  }

  #make(prefix, { id, title, count, content }) {
    const name = `${prefix}-${id}`;
    return {
      button: h("button", { type: "button", role: "tab", id: `${name}-tab`, "aria-controls": name, onclick: () => this.open(id) }, title, count !== undefined && h("b", {}, count)),
      panel: h("div", { role: "tabpanel", id: name, "aria-labelledby": `${name}-tab` }, content),
    };
  }

  #key(event) {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const index = this.#tabs.findIndex((tab) => tab.id === this.current);
    const next = this.#tabs[(index + step + this.#tabs.length) % this.#tabs.length];
    this.open(next.id);
    next.button.focus();
  }
}
