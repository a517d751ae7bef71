// What no dissector knows: text when it reads as text, else octets.
import { field, layer, printable } from "./field.js";

const SHOWN = 96;
const TEXT_LINES = 40;

export function payload(octets, start, end, layers, name = "Data") {
  if (start >= end) return;
  const made = layer(name, start, end);
  made.summary = `${end - start} B`;
  layers.push(made);
  const data = octets.slice(start, end);
  if (name === "Padding" || !isText(data)) {
    field(made, "Octets", octets.hex(start, Math.min(end, start + SHOWN), " ") + (end - start > SHOWN ? " …" : ""), start, end - start);
    return;
  }
  if (looksLikeHttp(data)) made.name = "HTTP";
  lines(made, data, start);
}

function isText(data) {
  const sample = data.subarray(0, 512);
  return sample.every((octet) => (octet >= 0x20 && octet < 0x7f) || octet === 9 || octet === 10 || octet === 13);
}

function looksLikeHttp(data) {
  return /^(GET|HEAD|POST|PUT|DELETE|OPTIONS|CONNECT|PATCH) \S+ HTTP\/|^HTTP\/1\.[01] \d{3}/.test(printable(data.subarray(0, 256)));
}

function lines(parent, data, start) {
  let from = 0;
  while (from < data.length && parent.fields.length < TEXT_LINES) {
    const feed = data.indexOf(10, from);
    const to = feed < 0 ? data.length : feed + 1;
    const text = printable(data.subarray(from, to)).replace(/\.{1,2}$/, (dots) => (feed < 0 ? dots : ""));
    if (text) field(parent, "", text.slice(0, 400), start + from, to - from);
    from = to;
  }
  if (from < data.length) field(parent, "", `… ${data.length - from} B more`, start + from, data.length - from);
}
