// The smaller views of a scenario: steps, expectations, events, logs.
import { h } from "./dom.js";
import { eventFilter } from "./filter.js";
import { byteCount, clockTime, grouped, span } from "./format.js";

const EVENTS_AT_FIRST = 500;

/** Steps with outcome and duration; a click asks for the step's time. */
export function stepsPanel(scenario, chooseTime) {
  if (!scenario.steps.length) return null;
  const row = (step) =>
    h(
      "li",
      { class: `step depth-${Math.min(step.depth, 4)}` },
      h(
        "button",
        { type: "button", onclick: () => chooseTime(step.at) },
        h("span", { class: `dot ${step.outcome || "failed"}`, role: "img", "aria-label": step.outcome || "did not end" }),
        h("span", { class: "step-name" }, step.name),
        h("span", { class: "time" }, step.end === null ? "did not end" : span(step.end - step.at)),
      ),
    );
  return panel("Steps", scenario.steps.length, h("ol", { class: "steps" }, scenario.steps.map(row)));
}

/** Expectations, failed ones with their nearest packets, each of which jumps to its packet. */
export function expectationsPanel(scenario, choosePacket, chooseEvent) {
  if (!scenario.expectations.length) return null;
  const jump = (number, text) => h("button", { type: "button", class: "jump", onclick: () => choosePacket(number) }, text);
  const has = (number) => number !== null && scenario.packets.rowOf(number) >= 0;
  const miss = ({ text, why, frame }) => h("li", {}, has(frame) ? jump(frame, text) : text, why && h("span", { class: "why" }, why));
  const row = (one) =>
    h(
      "li",
      { class: `expectation ${one.met ? "met" : "unmet"}` },
      h("span", { class: "badge" }, one.met ? "met" : "not met"),
      h("button", { type: "button", class: "what", onclick: () => chooseEvent(one.event) }, one.what),
      h("span", { class: "time" }, `${clockTime(one.at)} s`),
      has(one.frame) && jump(one.frame, one.met ? `packet ${one.frame}` : `nearest: packet ${one.frame}`),
      one.nearest.length > 0 && h("ul", { class: "nearest", "aria-label": "Nearest misses" }, one.nearest.map(miss)),
    );
  const unmetFirst = [...scenario.expectations].sort((one, other) => Number(one.met) - Number(other.met));
  return panel("Expectations", scenario.expectations.length, h("ul", { class: "expectations" }, unmetFirst.map(row)));
}

function panel(title, count, ...children) {
  return h("section", { class: "panel", "aria-label": title }, h("div", { class: "panel-head" }, h("h3", {}, title), h("span", { class: "count" }, grouped(count))), ...children);
}

/** All events with a filter; each opens to show its fields. */
export class EventList {
  #events;
  #packets;
  #most = EVENTS_AT_FIRST;

  constructor(scenario, chooseTime, choosePacket) {
    this.#events = scenario.events;
    this.#packets = scenario.packets;
    this.choosePacket = choosePacket;
    this.chooseTime = chooseTime;
    this.filter = h("input", { type: "search", class: "filter", placeholder: "Filter: dns, flow, drop, -step, text", "aria-label": "Filter events", spellcheck: "false", oninput: () => this.#fill() });
    this.count = h("output", { class: "count", "aria-live": "polite" });
    this.list = h("ol", { class: "events" });
    this.more = h("button", { type: "button", class: "more", onclick: () => this.#showAll() }, "Show all");
    this.element = h("div", { class: "eventlist" }, h("div", { class: "controls" }, this.filter, this.count), this.list, this.more);
    this.#fill();
  }

  /** Opens the event `index` and brings it into sight. */
  select(index) {
    this.filter.value = "";
    this.#most = Math.max(this.#most, index + 1);
    this.#fill();
    const item = this.list.children[index];
    item.firstChild.open = true;
    item.scrollIntoView({ block: "nearest" });
  }

  #showAll() {
    this.#most = Infinity;
    this.#fill();
  }

  #fill() {
    const keeps = eventFilter(this.filter.value);
    const shown = keeps ? this.#events.filter(keeps) : this.#events;
    this.list.replaceChildren(...shown.slice(0, this.#most).map((event) => this.#item(event)));
    this.more.hidden = shown.length <= this.#most;
    this.count.textContent = keeps ? `${grouped(shown.length)} of ${grouped(this.#events.length)} events` : `${grouped(this.#events.length)} events`;
  }

  #item(event) {
    const details = h(
      "details",
      {},
      h("summary", { onclick: () => this.chooseTime(event.at) }, h("span", { class: "time" }, clockTime(event.at)), h("span", { class: `group ${event.tone}` }, event.group), h("span", { class: "show" }, event.text)),
    );
    // Fields are made when they are first looked at: a journal may hold thousands of events.
    details.addEventListener("toggle", () => details.append(...this.#fields(event).filter(Boolean)), { once: true });
    return h("li", { class: event.tone }, details);
  }

  #fields(event) {
    const pairs = [["type", event.type], ...Object.entries(event.fields)];
    const fields = h("dl", { class: "fields" }, pairs.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, h("pre", {}, value)))));
    return [fields, event.verdicts ? this.#verdicts(event) : "count" in event.fields && "rule" in event.fields && h("p", { class: "hint verdicts" }, "Each of these frames is in journal.jsonl.")];
  }

  /** Each frame that the event tells of, with a way to its packet. */
  #verdicts({ fields, verdicts }) {
    const { packetId, at, delay, length } = verdicts;
    if (!packetId.some(Boolean)) return null;
    const held = delay.some(Boolean);
    const row = (id, index) => {
      const packet = this.#packets.rowOfId(fields.link, fields.direction, id);
      const jump = () => this.choosePacket(this.#packets.number(packet));
      return h(
        "tr",
        {},
        h("td", {}, packet < 0 ? "" : h("button", { type: "button", class: "jump", onclick: jump }, `packet ${this.#packets.number(packet)}`)),
        h("td", {}, grouped(id)),
        h("td", {}, clockTime(at[index])),
        h("td", {}, held ? span(delay[index]) : `${grouped(length[index])} B`),
      );
    };
    const heads = ["In the capture", "Packet id", "Time", held ? "Held" : "Length"];
    return h(
      "div",
      { class: "verdicts", tabindex: "0", role: "group", "aria-label": "Frames" },
      h("table", {}, h("thead", {}, h("tr", {}, heads.map((head) => h("th", { scope: "col" }, head)))), h("tbody", {}, packetId.map(row))),
    );
  }
}

/** The end of a console or log. */
export function logView(log) {
  const note = log.leftOut > 0 && h("p", { class: "hint" }, `The last part; ${byteCount(log.leftOut)} before it are in ${log.name}.`);
  const pre = h("pre", { class: "log", tabindex: "0", "aria-label": log.name }, log.text || "(empty)");
  // Its end is what matters; it has no height until its tab is shown.
  new ResizeObserver((_, observer) => {
    if (!pre.clientHeight) return;
    pre.scrollTop = pre.scrollHeight;
    observer.disconnect();
  }).observe(pre);
  return h("div", {}, note, pre);
}
