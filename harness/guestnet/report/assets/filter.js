// The filter box: words that must all hold, each a protocol, a key with a value, or plain text; "-" or "!" negates.
import { PROTOCOLS_KNOWN } from "./classify.js";

const WORD = /[-!]?(?:[a-z]+:)?"[^"]*"?|\S+/gi;

/** What links did to packets, by the word that asks for it. */
export const FATES = new Map([
  ["dropped", (packets, row) => packets.isDropped(row)],
  ["delayed", (packets, row) => /(^|; )held /.test(packets.comment(row))],
]);

/** A function row → whether it is shown, over `packets`; null when `text` asks for nothing. */
export function packetFilter(text, packets) {
  const tests = split(text).map(({ negated, body }) => {
    const test = packetTest(body, packets);
    return negated ? (row) => !test(row) : test;
  });
  return tests.length ? (row) => tests.every((test) => test(row)) : null;
}

/** The same over events: the group, or text in the line. */
export function eventFilter(text) {
  const tests = split(text).map(({ negated, body }) => {
    const wanted = body.toLowerCase();
    return (event) => negated !== (event.group === wanted || `${event.type} ${event.text}`.toLowerCase().includes(wanted));
  });
  return tests.length ? (event) => tests.every((test) => test(event)) : null;
}

/** What is wrong with a filter that keeps no packet; "" when it is only that none matches. */
export function filterTrouble(text, packets) {
  for (const { body } of split(text)) {
    const [, key, value] = /^([a-z]+):(.*)$/i.exec(body) ?? [];
    if (!key) continue;
    if (key.toLowerCase() === "link" && !packets.links.some((link) => link.toLowerCase() === value.toLowerCase()))
      return `There is no link “${value}”: there are ${packets.links.join(", ")}.`;
    if (key.toLowerCase() === "port" && !(/^\d+$/.test(value) && Number(value) <= 65535)) return `“${value}” is no port: write port:443.`;
    if (!["link", "port"].includes(key.toLowerCase())) return `“${key}:” is no filter: there are link: and port:.`;
  }
  return "";
}

function split(text) {
  return (text.match(WORD) ?? [])
    .map((word) => {
      const negated = word.length > 1 && (word[0] === "-" || word[0] === "!");
      return { negated, body: (negated ? word.slice(1) : word).replaceAll('"', "") };
    })
    .filter(({ body }) => body);
}

function packetTest(word, packets) {
  const wanted = word.toLowerCase();
  if (PROTOCOLS_KNOWN.has(wanted)) return (row) => packets.kind(row).words.includes(wanted);
  if (FATES.has(wanted)) return (row) => FATES.get(wanted)(packets, row);
  if (wanted === "up" || wanted === "down") return (row) => packets.direction(row) === wanted[0];
  const [, key, value] = /^(link|port):(.+)$/.exec(wanted) ?? [];
  if (key === "link") return (row) => packets.links[packets.link(row)].toLowerCase() === value;
  if (key === "port") return (row) => packets.kind(row).ports?.includes(Number(value)) ?? false;
  return (row) => `${packets.show(row)} ${packets.comment(row)}`.toLowerCase().includes(wanted);
}
