// A scenario that is opened: reads its data and joins its views, so that choosing in one shows in all.
import { PacketDetails } from "./details.js";
import { conversationsView } from "./conversations.js";
import { h, saveBytes } from "./dom.js";
import { grouped } from "./format.js";
import { EventList, expectationsPanel, logView, stepsPanel } from "./lists.js";
import { openScenario } from "./model.js";
import { PacketList } from "./packets.js";
import { Tabs } from "./tabs.js";
import { Timeline } from "./timeline.js";

export class ScenarioView {
  #box;
  #entry;

  /** `box` is the scenario's <details>; `entry` its line of the index; `chosen(place)` hears what was selected. */
  constructor(box, entry, chosen) {
    this.#box = box;
    this.#entry = entry;
    this.chosen = chosen;
    box.querySelector("button.download")?.addEventListener("click", () => this.#download());
  }

  /** Reads and draws, once. */
  ready() {
    return (this.opened ??= this.#open());
  }

  /** Goes to "packet-42" or "event-7". */
  async goTo(place) {
    await this.ready();
    const [, kind, number] = /^(packet|event)-(\d+)$/.exec(place) ?? [];
    if (kind === "packet") this.choosePacket(Number(number));
    else if (kind === "event" && Number(number) < (this.scenario?.events.length ?? 0)) this.chooseEvent(Number(number));
  }

  choosePacket(number) {
    const row = this.scenario?.packets.rowOf(number) ?? -1;
    if (row < 0) return;
    this.tabs.open("packets");
    this.list.selectPacket(row);
    this.#packetChosen(row);
    this.tabs.element.scrollIntoView({ block: "nearest" });
    this.list.focus();
  }

  /** Lets lists and timeline begin at the event `index`, without a choice of anybody's. */
  openAt(index) {
    this.timeline.choose(this.scenario.events[index].at);
    if (this.list) this.list.openAt(index);
    else this.events.select(index);
  }

  chooseEvent(index) {
    this.#eventChosen(index);
    if (this.tabs.current === "events" || !this.list) {
      this.tabs.open("events");
      this.events.select(index);
    } else {
      this.tabs.open("packets");
      this.list.selectEvent(index);
      this.tabs.element.scrollIntoView({ block: "nearest" });
    }
  }

  async #open() {
    const place = this.#box.querySelector(".evidence");
    if (!place) return;
    place.setAttribute("aria-busy", "true");
    place.replaceChildren(h("p", { class: "waiting" }, "Reading the journal and the capture …"));
    try {
      this.scenario = await openScenario(this.#box.dataset.index);
      this.#draw(place);
    } catch (error) {
      place.replaceChildren(h("p", { class: "callout warning" }, `This part of the report can't be shown: ${error.message}`));
      throw error;
    } finally {
      place.removeAttribute("aria-busy");
    }
  }

  #draw(place) {
    const { scenario } = this;
    const handlers = { packet: (row) => this.choosePacket(scenario.packets.number(row)), event: (index) => this.chooseEvent(index) };
    this.timeline = new Timeline(scenario, handlers);
    this.events = new EventList(scenario, (at) => this.timeline.choose(at), (number) => this.choosePacket(number));
    const panels = [
      stepsPanel(scenario, (at) => this.timeline.choose(at)),
      expectationsPanel(scenario, (number) => this.choosePacket(number), handlers.event),
    ].filter(Boolean);
    this.tabs = new Tabs(this.#box.id, this.#tabs());
    const failure = ["failed", "error"].includes(this.#entry.outcome) ? scenario.failure : null;
    if (failure !== null) this.openAt(failure);
    place.replaceChildren(panels.length ? h("div", { class: "summaries" }, panels) : "", this.timeline.element, this.tabs.element);
  }

  #tabs() {
    const { scenario } = this;
    const tabs = [];
    if (scenario.packets.count) {
      this.details = new PacketDetails(scenario);
      this.list = new PacketList(scenario, this.#box.id, { packet: (row) => this.#packetChosen(row), event: (index) => this.#eventChosen(index) });
      tabs.push({ id: "packets", title: "Packets", count: grouped(scenario.packets.count), content: h("div", {}, this.list.element, this.details.element) });
    }
    if (scenario.conversations.all) {
      const content = conversationsView(scenario.conversations, (number) => this.choosePacket(number));
      tabs.push({ id: "conversations", title: "Conversations", count: grouped(scenario.conversations.all), content });
    }
    tabs.push({ id: "events", title: "Events", count: grouped(scenario.events.length), content: this.events.element });
    for (const [index, log] of scenario.logs.entries()) tabs.push({ id: `log-${index}`, title: log.name, content: logView(log) });
    return tabs;
  }

  #packetChosen(row) {
    this.details.show(row);
    this.timeline.choose(this.scenario.packets.at[row]);
    this.chosen(`packet-${this.scenario.packets.number(row)}`);
  }

  #eventChosen(index) {
    this.timeline.choose(this.scenario.events[index].at);
    this.chosen(`event-${index}`);
  }

  async #download() {
    await this.ready();
    saveBytes(this.scenario.packets.file, this.#entry.download, "application/x-pcapng");
  }
}
