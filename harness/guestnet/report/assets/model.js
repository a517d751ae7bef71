// One scenario's data as the views see it.
import { classify } from "./classify.js";
import { readBytes, readJson } from "./codec.js";
import { framePositions } from "./pcapng.js";

/** After a link's name: the interface of what the link dropped (guestnet.link.passed). */
export const DROPPED = "-dropped";

/** Reads the data blocks of the scenario `index`. */
export async function openScenario(index) {
  const [data, octets] = await Promise.all([readJson(`data-${index}`), readBytes(`capture-${index}`)]);
  return new Scenario(data, octets);
}

class Scenario {
  constructor(data, octets) {
    this.end = Math.max(data.end, 1);
    this.steps = data.steps;
    this.verbs = data.verbs;
    this.failure = data.failure;
    this.conversations = data.conversations;
    this.events = data.events;
    this.expectations = data.expectations;
    this.logs = data.logs;
    this.settings = data.settings;
    this.packets = new Packets(data.packets, data.links, octets);
  }
}

/** The capture as columns; `row` counts from 0, `number` is the capture's frame number. */
class Packets {
  #columns;
  #octets;
  #positions;
  #kinds;
  #inTime;
  #ids;

  constructor(columns, links, octets) {
    this.#columns = columns;
    this.#octets = octets;
    this.#positions = framePositions(octets);
    this.#kinds = new Array(columns.number.length);
    this.links = links;
    this.count = columns.number.length;
    this.at = columns.at;
  }

  /** The whole capture file as it is embedded. */
  get file() {
    return this.#octets;
  }
  number(row) {
    return this.#columns.number[row];
  }
  /** The row of the frame `number`, or -1. */
  rowOf(number) {
    const numbers = this.#columns.number;
    let low = 0, high = numbers.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (numbers[middle] < number) low = middle + 1;
      else high = middle;
    }
    return numbers[low] === number ? low : -1;
  }
  link(row) {
    return this.#columns.link[row];
  }
  /** "u", "d", or "-" when the capture does not tell. */
  direction(row) {
    return this.#columns.direction[row];
  }
  length(row) {
    return this.#columns.length[row];
  }
  show(row) {
    return this.#columns.show[row];
  }
  /** Whether the packet is one that its link dropped: those have an interface of their own in the capture. */
  isDropped(row) {
    return this.links[this.#columns.link[row]].endsWith(DROPPED);
  }
  /** All rows by their time. The capture has them as they were written: a link is read now and then. */
  get inTime() {
    return (this.#inTime ??= [...this.at.keys()].sort((one, other) => this.at[one] - this.at[other] || one - other));
  }
  comment(row) {
    return this.#columns.comment[row] ?? "";
  }
  /** What the journal's verdicts call the packet, or 0. */
  packetId(row) {
    return this.#columns.packetId[row] ?? 0;
  }
  /** The row of what a verdict is about, dropped or not, or -1. */
  rowOfId(link, direction, id) {
    if (!this.#ids) {
      this.#ids = new Map();
      for (const row of this.inTime) {
        const name = this.links[this.link(row)], key = `${name.endsWith(DROPPED) ? name.slice(0, -DROPPED.length) : name} ${this.direction(row)} ${this.packetId(row)}`;
        if (this.packetId(row) && !this.#ids.has(key)) this.#ids.set(key, row);
      }
    }
    return this.#ids.get(`${link} ${direction[0]} ${id}`) ?? -1;
  }
  bytes(row) {
    const { offset, length } = this.#positions;
    return row < offset.length ? this.#octets.subarray(offset[row], offset[row] + length[row]) : new Uint8Array();
  }
  kind(row) {
    return (this.#kinds[row] ??= classify(this.bytes(row)));
  }
}
