// One packet in full: its layers as a tree, and its octets with those of the chosen layer or field marked.
import { dissect } from "./dissect/frame.js";
import { printable } from "./dissect/field.js";
import { h } from "./dom.js";
import { clockTime, grouped } from "./format.js";

const WIDTH = 16;
const CARRIED = /^(Quoted|Data$|Padding$|Options$)/;
const SHOWN_AT_FIRST = 4096;

export class PacketDetails {
  #scenario;
  #bytes = new Uint8Array();
  #fields = [];
  #whole = false;
  #marked = null;

  constructor(scenario) {
    this.#scenario = scenario;
    this.title = h("h4", { class: "packet-title" });
    this.layers = h("div", { class: "layers", "aria-label": "Layers", role: "group" });
    this.hex = h("pre", { class: "hex", tabindex: "0", "aria-label": "Octets", onclick: (event) => this.#pick(event) });
    this.more = h("button", { type: "button", class: "more", hidden: true, onclick: () => this.#showAll() });
    this.element = h(
      "section",
      { class: "details", "aria-label": "The chosen packet" },
      this.title,
      h("div", { class: "panes" }, this.layers, h("div", { class: "hexpane" }, this.hex, this.more)),
    );
    this.clear();
  }

  clear() {
    this.title.textContent = "Choose a packet to see its layers and octets.";
    this.element.classList.add("empty");
    this.layers.replaceChildren();
    this.hex.replaceChildren();
  }

  show(row) {
    const { packets } = this.#scenario;
    this.#bytes = packets.bytes(row);
    this.#whole = false;
    this.#marked = null;
    this.#fields = [];
    const cut = this.#bytes.length < packets.length(row) ? `, ${grouped(this.#bytes.length)} B of it captured` : "";
    this.element.classList.remove("empty");
    this.title.replaceChildren(
      h("b", {}, `Packet ${packets.number(row)}`),
      ` at ${clockTime(packets.at[row])} s on ${packets.links[packets.link(row)]}, ${grouped(packets.length(row))} B${cut}`,
      packets.comment(row) && h("em", { class: "comment" }, packets.comment(row)),
    );
    const layers = dissect(this.#bytes, packets.length(row));
    // The innermost protocol is what one looks for; what it carries or quotes comes with it.
    const innermost = layers.findLastIndex(({ name }) => !CARRIED.test(name));
    this.layers.replaceChildren(...layers.map((layer, index) => this.#layer(layer, index >= innermost || layer.wrong !== "")));
    this.#paint();
  }

  #layer(layer, open) {
    const summary = h(
      "summary",
      { onclick: () => this.#mark(layer, summary) },
      h("span", { class: "layer-name" }, layer.name),
      h("span", { class: "layer-summary" }, layer.summary),
      layer.wrong && h("span", { class: "wrong" }, layer.wrong),
    );
    this.#fields.push({ start: layer.start, end: layer.end, element: summary });
    return h("details", { class: "layer", open }, summary, layer.fields.map((field) => this.#field(field, 0)));
  }

  #field(field, depth) {
    const button = h(
      "button",
      { type: "button", class: `field depth-${depth}${field.wrong ? " bad" : ""}`, onclick: () => this.#mark(field, button) },
      field.name && h("span", { class: "field-name" }, field.name),
      h("span", { class: "field-value" }, field.value),
    );
    this.#fields.push({ start: field.start, end: field.end, element: button });
    return [button, field.fields.map((inner) => this.#field(inner, depth + 1))];
  }

  #mark(range, element) {
    this.layers.querySelector("[aria-current]")?.removeAttribute("aria-current");
    element.setAttribute("aria-current", "true");
    this.#marked = range;
    if (range.start >= SHOWN_AT_FIRST) this.#whole = true;
    this.#paint();
    const mark = this.hex.querySelector("mark");
    if (mark) this.hex.scrollTop = Math.max(0, mark.offsetTop - this.hex.clientHeight / 3);
  }

  #showAll() {
    this.#whole = true;
    this.#paint();
  }

  #paint() {
    const size = this.#whole ? this.#bytes.length : Math.min(this.#bytes.length, SHOWN_AT_FIRST);
    const lines = [];
    for (let start = 0; start < size; start += WIDTH) lines.push(...this.#line(start, Math.min(start + WIDTH, size)), "\n");
    this.hex.replaceChildren(...lines);
    this.more.hidden = size === this.#bytes.length;
    this.more.textContent = `Show all ${grouped(this.#bytes.length)} B`;
  }

  // "0010  00 01 …  ascii", with the marked octets inside <mark>.
  #line(start, end) {
    const from = Math.min(Math.max((this.#marked?.start ?? end) - start, 0), end - start);
    const to = Math.min(Math.max((this.#marked?.end ?? start) - start, from), end - start);
    const octets = this.#bytes.subarray(start, end);
    const hex = Array.from(octets, (octet) => octet.toString(16).padStart(2, "0")).join(" ").padEnd(3 * WIDTH + 1);
    const parts = [h("span", { class: "offset" }, `${start.toString(16).padStart(4, "0")}  `)];
    if (from === to) return [...parts, hex + printable(octets)];
    parts.push(hex.slice(0, from * 3), h("mark", {}, hex.slice(from * 3, to * 3 - 1)), hex.slice(to * 3 - 1));
    parts.push(printable(octets.subarray(0, from)), h("mark", {}, printable(octets.subarray(from, to))), printable(octets.subarray(to)));
    return parts;
  }

  /** A click on an octet chooses the smallest field that holds it. */
  #pick(event) {
    const at = this.#octetAt(event);
    if (at === null) return;
    const holding = this.#fields.filter(({ start, end }) => start <= at && at < end);
    const best = holding.reduce((found, one) => (!found || one.end - one.start <= found.end - found.start ? one : found), null);
    if (!best) return;
    best.element.closest("details").open = true;
    this.#mark(best, best.element);
    best.element.scrollIntoView({ block: "nearest" });
  }

  #octetAt(event) {
    const style = getComputedStyle(this.hex);
    const box = this.hex.getBoundingClientRect();
    const probe = this.hex.querySelector(".offset")?.getBoundingClientRect();
    if (!probe) return null;
    const column = Math.floor((event.clientX - box.left - parseFloat(style.paddingLeft) + this.hex.scrollLeft) / (probe.width / 6));
    const line = Math.floor((event.clientY - box.top - parseFloat(style.paddingTop) + this.hex.scrollTop) / parseFloat(style.lineHeight));
    const inHex = column >= 6 && column < 6 + WIDTH * 3;
    const within = inHex ? Math.floor((column - 6) / 3) : column - (7 + WIDTH * 3);
    const at = line * WIDTH + within;
    return within >= 0 && within < WIDTH && at < this.#bytes.length ? at : null;
  }
}
