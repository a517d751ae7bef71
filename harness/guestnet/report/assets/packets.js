// The packet list: a grid of which only the rows in sight exist, so 10,000 packets scroll as ten do.
// Rows are packets, and events between them: a number >= 0 is a packet's row, -1 - n is event n.
import { h, oncePerFrame } from "./dom.js";
import { FATES, filterTrouble, packetFilter } from "./filter.js";
import { clockTime, grouped } from "./format.js";

// As in packets.css: on a narrow screen a packet takes two lines.
const NARROW = matchMedia("(max-width: 760px)");
const ROW_HEIGHT = { wide: 24, narrow: 44 };
const AHEAD = 8;
const FEWEST = 4;
const MOST = 13;
const HEADINGS = ["No.", "Time", "Link", "Protocol", "Length", "What"];
const CHIPS = 7;
// At the same instant an event comes before its packet, but not one that is about what was seen.
const FOLLOWS = new Set(["FrameDropped", "FramesDropped", "FrameImpaired", "FramesImpaired", "FramesDelayed", "Expected", "StepEnded"]);

export class PacketList {
  #scenario;
  #handlers;
  #rows = [];
  #selected = null;
  #first = null;
  #id;

  get #rowHeight() {
    return NARROW.matches ? ROW_HEIGHT.narrow : ROW_HEIGHT.wide;
  }

  /** `handlers`: `packet(row)` and `event(index)`, called when somebody selects one. */
  constructor(scenario, id, handlers) {
    this.#scenario = scenario;
    this.#id = id;
    this.#handlers = handlers;
    this.#build();
    this.#refilter();
  }

  /** Shows and marks the packet `row`, dropping the filter when it hides it. */
  selectPacket(row) {
    this.#reveal(row);
  }

  /** The same for an event. */
  selectEvent(index) {
    if (!this.events.checked) this.events.checked = true;
    this.#reveal(-1 - index);
  }

  /** Marks the event `index` and scrolls to it once there is a height to scroll in. */
  openAt(index) {
    if (this.#rows.includes(-1 - index)) this.#selected = -1 - index;
    this.#first = this.#selected;
  }

  focus() {
    this.grid.focus({ preventScroll: true });
  }

  #build() {
    this.filter = h("input", {
      type: "search", class: "filter", placeholder: 'Filter: tcp, dns, rst, up, port:80, link:cable, -arp, "text"',
      "aria-label": "Filter packets", spellcheck: "false", oninput: () => this.#refilter(),
    });
    this.events = h("input", { type: "checkbox", checked: true, onchange: () => this.#refilter() });
    this.count = h("output", { class: "count", "aria-live": "polite" });
    this.wrong = h("p", { class: "hint wrong", role: "alert", hidden: true });
    this.window = h("div", { class: "window", role: "presentation" });
    this.spacer = h("div", { class: "spacer", role: "presentation" }, this.window);
    this.scroller = h("div", { class: "scroller", role: "rowgroup", onscroll: oncePerFrame(() => this.#paint()) }, this.spacer);
    const heading = h("div", { class: "row heading", role: "row" }, HEADINGS.map((text) => h("span", { role: "columnheader" }, text)));
    this.grid = h(
      "div",
      { class: "grid", role: "grid", tabindex: "0", "aria-label": "Packets", onkeydown: (event) => this.#key(event), onclick: (event) => this.#click(event) },
      h("div", { role: "rowgroup", class: "headings" }, heading),
      this.scroller,
    );
    this.element = h(
      "div",
      { class: "packets" },
      h("div", { class: "controls" }, this.filter, h("label", { class: "check" }, this.events, "events between"), this.count),
      this.wrong,
      this.#chips(),
      this.grid,
    );
    this.scroller.style.height = `${this.#rowHeight * Math.min(Math.max(this.#scenario.packets.count + this.#scenario.events.length, FEWEST), MOST)}px`;
    new ResizeObserver(() => {
      if (this.#first !== null && this.scroller.clientHeight) {
        this.#show(this.#first, true);
        this.#first = null;
      }
      this.#paint();
    }).observe(this.scroller);
    NARROW.addEventListener("change", () => this.#refilter());
  }

  #chips() {
    const counts = new Map();
    const { packets } = this.#scenario;
    for (let row = 0; row < packets.count; row++) {
      const { label } = packets.kind(row);
      counts.set(label, (counts.get(label) ?? 0) + 1);
    }
    const most = [...counts].sort((one, other) => other[1] - one[1]).slice(0, CHIPS);
    for (const [label, keeps] of FATES) {
      let count = 0;
      for (let row = 0; row < packets.count; row++) if (keeps(packets, row)) count++;
      if (count) most.push([label, count]);
    }
    return h("div", { class: "chips" }, most.map(([label, count]) =>
      h("button", { type: "button", class: `chip proto-${label.toLowerCase()} fate-${label}`, onclick: () => this.#setFilter(label.toLowerCase()) }, label, h("b", {}, grouped(count)))));
  }

  #setFilter(text) {
    this.filter.value = this.filter.value.trim() === text ? "" : text;
    this.#refilter();
  }

  #refilter() {
    const { packets, events } = this.#scenario;
    const keeps = packetFilter(this.filter.value, packets);
    const rows = [];
    let shown = 0;
    const between = this.events.checked && !keeps ? [...events.keys()].sort((one, other) => events[one].at - events[other].at || one - other) : [];
    const isBefore = (index, row) => events[index].at < packets.at[row] || (events[index].at === packets.at[row] && !FOLLOWS.has(events[index].type));
    let next = 0;
    for (const row of packets.inTime) {
      if (keeps && !keeps(row)) continue;
      while (next < between.length && isBefore(between[next], row)) rows.push(-1 - between[next++]);
      rows.push(row);
      shown++;
    }
    while (next < between.length) rows.push(-1 - between[next++]);
    this.#rows = rows;
    const wrong = shown ? "" : filterTrouble(this.filter.value, packets);
    this.wrong.textContent = wrong;
    this.wrong.hidden = !wrong;
    this.count.textContent = keeps ? `${grouped(shown)} of ${grouped(packets.count)} packets` : `${grouped(packets.count)} packets`;
    this.grid.setAttribute("aria-rowcount", rows.length + 1);
    this.spacer.style.height = `${Math.max(rows.length, 1) * this.#rowHeight}px`;
    if (this.#selected !== null && rows.includes(this.#selected)) this.#show(this.#selected);
    this.#paint();
  }

  #paint() {
    const first = Math.max(0, Math.floor(this.scroller.scrollTop / this.#rowHeight) - AHEAD);
    const last = Math.min(this.#rows.length, first + Math.ceil(this.scroller.clientHeight / this.#rowHeight) + 2 * AHEAD);
    this.window.style.transform = `translateY(${first * this.#rowHeight}px)`;
    const made = [];
    for (let index = first; index < last; index++) made.push(this.#row(index));
    if (!this.#rows.length) made.push(h("div", { class: "row empty" }, h("span", {}, "No packet matches the filter.")));
    this.window.replaceChildren(...made);
    const shown = this.#selected !== null && document.getElementById(this.#rowId(this.#selected));
    if (shown) this.grid.setAttribute("aria-activedescendant", shown.id);
    else this.grid.removeAttribute("aria-activedescendant");
  }

  #row(index) {
    const what = this.#rows[index];
    const properties = { role: "row", id: this.#rowId(what), "data-what": what, "aria-rowindex": index + 2, "aria-selected": what === this.#selected };
    return what >= 0 ? this.#packetRow(what, properties) : this.#eventRow(-1 - what, properties);
  }

  #packetRow(row, properties) {
    const { packets } = this.#scenario;
    const kind = packets.kind(row), direction = packets.direction(row), comment = packets.comment(row);
    const arrow = { u: "↑", d: "↓" }[direction] ?? "·", dropped = packets.isDropped(row);
    const cell = (name, ...children) => h("span", { role: "gridcell", class: name }, ...children);
    return h(
      "div",
      { ...properties, class: `row packet${kind.trouble ? " trouble" : ""}${dropped ? " dropped" : ""}` },
      cell("number", String(packets.number(row))),
      cell("time", clockTime(packets.at[row])),
      cell("link", h("span", { class: `arrow ${direction}`, title: { u: "up, from the guest", d: "down, to the guest" }[direction] ?? "" }, arrow), packets.links[packets.link(row)]),
      cell(`proto proto-${kind.label.toLowerCase()}`, kind.label),
      cell("length", String(packets.length(row))),
      cell("show", h("span", { title: packets.show(row) }, packets.show(row)), comment && h("em", { class: "comment" }, comment)),
    );
  }

  #eventRow(index, properties) {
    const event = this.#scenario.events[index];
    const cell = (name, ...children) => h("span", { role: "gridcell", class: name }, ...children);
    return h(
      "div",
      { ...properties, class: `row event ${event.tone}` },
      cell("number", ""),
      cell("time", clockTime(event.at)),
      cell("group", event.group),
      h("span", { role: "gridcell", class: "show", title: event.text }, event.text),
    );
  }

  #rowId(what) {
    return `${this.#id}-row-${what >= 0 ? `p${what}` : `e${-1 - what}`}`;
  }

  #click(event) {
    const row = event.target.closest("[data-what]");
    if (row) this.#choose(Number(row.dataset.what));
  }

  #key(event) {
    if (event.target !== this.grid || event.ctrlKey || event.metaKey || event.altKey) return;
    const page = Math.max(1, Math.floor(this.scroller.clientHeight / this.#rowHeight) - 1);
    const current = this.#selected === null ? -1 : this.#rows.indexOf(this.#selected);
    const target = { ArrowDown: current + 1, ArrowUp: current - 1, PageDown: current + page, PageUp: current - page, Home: 0, End: this.#rows.length - 1 }[event.key];
    if (target === undefined || !this.#rows.length) return;
    event.preventDefault();
    this.#choose(this.#rows[Math.min(Math.max(target, 0), this.#rows.length - 1)]);
  }

  #choose(what) {
    this.#selected = what;
    this.#show(what);
    if (what >= 0) this.#handlers.packet(what);
    else this.#handlers.event(-1 - what);
  }

  #reveal(what) {
    if (!this.#rows.includes(what)) {
      this.filter.value = "";
      this.#refilter();
    }
    this.#selected = what;
    this.#show(what, true);
  }

  /** Scrolls as little as needed, or to the middle. */
  #show(what, centred = false) {
    const top = this.#rows.indexOf(what) * this.#rowHeight;
    const { scrollTop, clientHeight } = this.scroller;
    if (top < scrollTop || top + this.#rowHeight > scrollTop + clientHeight) {
      if (centred) this.scroller.scrollTop = top - clientHeight / 2;
      else this.scroller.scrollTop = top < scrollTop ? top : top + this.#rowHeight - clientHeight;
    }
    this.#paint();
  }
}
