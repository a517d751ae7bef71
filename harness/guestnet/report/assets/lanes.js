// The lanes of the timeline: steps, expectations, events, and of each link what is set on it, up and down.
// A lane is {label, height, paint(pen, colours, area), find(at, reach, y) → {at, text, row | event} or null}.
import { span } from "./format.js";
import { DROPPED } from "./model.js";

const STEP = 20;
export const LANE = 22;
const GROUP_COLOURS = { lab: "dim", guest: "guest", command: "command", step: "dim", note: "dim", link: "warning", drop: "bad", dhcp: "dhcp", dns: "dns", flow: "tcp", server: "http", other: "dim" };
const PROTOCOL_COLOURS = ["tcp", "udp", "dns", "dhcp", "http", "arp", "rarp", "ndp", "dhcpv6", "icmp", "icmpv6"];

/** Names of the style sheet's colours that lanes paint with. */
export const COLOURS = ["text", "dim", "line", "accent", "good", "bad", "warning", "guest", "command", ...PROTOCOL_COLOURS];

export function lanesOf(scenario) {
  const lanes = [];
  if (scenario.steps.length) lanes.push(stepLane(scenario));
  if (scenario.verbs.length) lanes.push(verbLane(scenario));
  if (scenario.expectations.length) lanes.push(expectationLane(scenario));
  lanes.push(eventLane(scenario));
  const { packets, settings } = scenario;
  // Each link has what is set on it before its frames; one without frames comes at the end.
  const spansOf = new Map();
  for (const one of settings) spansOf.set(one.link, [...(spansOf.get(one.link) ?? []), one]);
  // What a link dropped comes below what it did not.
  const order = [...packets.links.keys()].sort((one, other) => placeOf(packets.links, one) - placeOf(packets.links, other));
  for (const index of order) {
    const link = packets.links[index];
    if (spansOf.has(link)) lanes.push(settingsLane(link, spansOf.get(link)));
    spansOf.delete(link);
    if (link.endsWith(DROPPED)) {
      const rows = [...rowsOf(packets, index, "u"), ...rowsOf(packets, index, "d")].sort((one, other) => packets.at[one] - packets.at[other]);
      lanes.push(packetLane(packets, `✕ ${link.slice(0, -DROPPED.length)}`, rows));
      continue;
    }
    for (const [direction, arrow] of [["u", "↑"], ["d", "↓"], ["-", "·"]]) {
      const rows = rowsOf(packets, index, direction);
      if (rows.length || direction !== "-") lanes.push(packetLane(packets, `${arrow} ${link}`, rows));
    }
  }
  for (const [link, spans] of spansOf) lanes.push(settingsLane(link, spans));
  return lanes;
}

function placeOf(links, index) {
  const link = links[index];
  const at = link.endsWith(DROPPED) ? links.indexOf(link.slice(0, -DROPPED.length)) : index;
  return at < 0 ? index : at + (link.endsWith(DROPPED) ? 0.5 : 0);
}

/** What was set on a link, over time. */
function settingsLane(link, spans) {
  const rows = Math.max(...spans.map((one) => one.row)) + 1;
  return {
    label: `${link} is`,
    height: rows * STEP + 2,
    paint(pen, colours, { top, from, width, x }) {
      for (const { at, end, row, text, tone } of spans) {
        const left = Math.max(x(at), from - 4), right = Math.max(Math.min(x(end), from + width + 4), left + 2);
        bar(pen, colours, colours[tone], text, left, right, top + row * STEP + 1);
      }
    },
    find(at, reach, y) {
      const row = Math.floor(y / STEP);
      const one = spans.findLast((span) => span.row === row && at >= span.at - reach && at <= span.end + reach);
      return one ? { at: one.at, text: `${link} ${one.text}, for ${span(one.end - one.at)}` } : null;
    },
  };
}

/** A bar of time with `text` in it. */
function bar(pen, colours, colour, text, left, right, y) {
  pen.fillStyle = colour;
  pen.globalAlpha = 0.16;
  pen.fillRect(left, y, right - left, STEP - 3);
  pen.globalAlpha = 1;
  pen.fillRect(left, y, 2, STEP - 3);
  pen.fillStyle = colours.text;
  pen.fillText(fitted(pen, text, right - left - 10), left + 6, y + STEP / 2 - 1);
}

function stepLane({ steps, end }) {
  const deepest = Math.max(...steps.map((step) => step.depth));
  return {
    label: "steps",
    height: (deepest + 1) * STEP + 2,
    paint(pen, colours, { top, from, width, x }) {
      for (const step of steps) {
        const left = Math.max(x(step.at), from - 4), right = Math.max(Math.min(x(step.end ?? end), from + width + 4), left + 3);
        bar(pen, colours, colours[stepTone(step)], step.name, left, right, top + step.depth * STEP + 1);
      }
    },
    find(at, reach, y) {
      const depth = Math.floor(y / STEP);
      const step = steps.find((one) => one.depth === depth && at >= one.at - reach && at <= (one.end ?? end) + reach);
      return step ? { at: step.at, text: `${step.name}: ${step.outcome || "did not end"}, ${span((step.end ?? end) - step.at)}` } : null;
    },
  };
}

/** What the scenario did: the verbs of lab and guests. */
function verbLane({ verbs }) {
  const rows = Math.max(...verbs.map((one) => one.row)) + 1;
  return {
    label: "verbs",
    height: rows * STEP + 2,
    paint(pen, colours, { top, from, width, x }) {
      for (const { at, end, row, text, raised } of verbs) {
        const left = Math.max(x(at), from - 4), right = Math.max(Math.min(x(end), from + width + 4), left + 2);
        bar(pen, colours, raised ? colours.bad : colours.accent, text, left, right, top + row * STEP + 1);
      }
    },
    find(at, reach, y) {
      const row = Math.floor(y / STEP);
      const one = verbs.findLast((span) => span.row === row && at >= span.at - reach && at <= span.end + reach);
      return one ? { at: one.at, text: `${one.text} ${one.result && `→ ${one.result}, `}${span(one.end - one.at)} ${one.where && `(${one.where})`}`, event: one.event } : null;
    },
  };
}

function stepTone(step) {
  return { passed: "good", skipped: "dim" }[step.outcome] ?? "bad";
}

function expectationLane({ expectations }) {
  return {
    label: "expectations",
    height: LANE,
    paint(pen, colours, { top, height, x }) {
      for (const expectation of expectations) {
        pen.fillStyle = colours[expectation.met ? "good" : "bad"];
        diamond(pen, x(expectation.at), top + height / 2, 5);
      }
    },
    find: (at, reach) => nearest(expectations, at, reach, (one) => ({ at: one.at, text: `${one.met ? "met" : "not met"}: ${one.what}`, event: one.event })),
  };
}

function eventLane({ events }) {
  const shown = events.map((event, index) => ({ ...event, index })).filter(({ group }) => !["step", "verb", "expectation"].includes(group));
  return {
    label: "events",
    height: LANE,
    paint(pen, colours, { top, height, x }) {
      for (const event of shown) {
        pen.fillStyle = colours[event.tone || GROUP_COLOURS[event.group]] ?? colours.dim;
        pen.beginPath();
        pen.arc(x(event.at), top + height / 2, event.tone ? 4.5 : 3.5, 0, 7);
        pen.fill();
      }
    },
    find: (at, reach) => nearest(shown, at, reach, (one) => ({ at: one.at, text: one.text, event: one.index })),
  };
}

function packetLane(packets, label, rows) {
  const items = rows.map((row) => ({ at: packets.at[row], row }));
  return {
    label,
    height: LANE + 4,
    // One bar a pixel: as high as the logarithm of how many packets share it, red when one of them is trouble.
    paint(pen, colours, { top, height, from, width, x, view }) {
      const counts = new Uint32Array(width + 1), bad = new Uint8Array(width + 1), which = new Int32Array(width + 1);
      for (let index = firstFrom(items, view.from); index < items.length && items[index].at <= view.to; index++) {
        const column = Math.floor(x(items[index].at) - from);
        counts[column]++;
        which[column] = items[index].row;
        if (packets.kind(items[index].row).trouble || packets.isDropped(items[index].row)) bad[column] = 1;
      }
      const most = Math.log1p(counts.reduce((one, other) => Math.max(one, other), 1));
      for (let column = 0; column <= width; column++) {
        if (!counts[column]) continue;
        const size = (height - 6) * (0.4 + (0.6 * Math.log1p(counts[column])) / most);
        pen.fillStyle = bad[column] ? colours.bad : protocolColour(colours, packets.kind(which[column]));
        pen.fillRect(from + column - 0.5, top + height - 3 - size, 1.6, size);
      }
    },
    find: (at, reach) => nearest(items, at, reach, ({ row }) => ({ at: packets.at[row], text: `#${packets.number(row)} ${packets.show(row)}${packets.comment(row) && ` (${packets.comment(row)})`}`, row })),
  };
}

function protocolColour(colours, { words }) {
  for (let index = words.length - 1; index >= 0; index--) if (PROTOCOL_COLOURS.includes(words[index])) return colours[words[index]];
  return colours.dim;
}

function rowsOf(packets, link, direction) {
  const rows = [];
  for (let row = 0; row < packets.count; row++) if (packets.link(row) === link && packets.direction(row) === direction) rows.push(row);
  return rows.sort((one, other) => packets.at[one] - packets.at[other]);
}

function firstFrom(items, at) {
  let low = 0, high = items.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (items[middle].at < at) low = middle + 1;
    else high = middle;
  }
  return low;
}

function nearest(items, at, reach, told) {
  const next = firstFrom(items, at);
  const best = [items[next - 1], items[next]].filter(Boolean).sort((one, other) => Math.abs(one.at - at) - Math.abs(other.at - at))[0];
  return best && Math.abs(best.at - at) <= reach ? told(best) : null;
}

function diamond(pen, x, y, size) {
  pen.beginPath();
  pen.moveTo(x, y - size);
  pen.lineTo(x + size, y);
  pen.lineTo(x, y + size);
  pen.lineTo(x - size, y);
  pen.fill();
}

/** As much of `text` as fits into `width`. */
export function fitted(pen, text, width) {
  if (width < 12) return "";
  if (pen.measureText(text).width <= width) return text;
  let low = 0, high = text.length;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (pen.measureText(`${text.slice(0, middle)}…`).width <= width) low = middle;
    else high = middle - 1;
  }
  return low ? `${text.slice(0, low)}…` : "";
}
