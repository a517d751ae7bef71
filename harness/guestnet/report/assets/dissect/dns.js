// DNS (RFC 1035, 3596) over UDP, and over TCP with its length in front.
import { bits, field, hex16, layer, named } from "./field.js";

const RECORD_TYPES = { 1: "A", 2: "NS", 5: "CNAME", 6: "SOA", 12: "PTR", 15: "MX", 16: "TXT", 28: "AAAA", 33: "SRV", 41: "OPT", 64: "SVCB", 65: "HTTPS", 255: "ANY" };
const RESPONSE_CODES = { 0: "NOERROR", 1: "FORMERR", 2: "SERVFAIL", 3: "NXDOMAIN", 4: "NOTIMP", 5: "REFUSED" };
const SECTIONS = ["Answer", "Authority", "Additional"];
const JUMPS = 64;

export function dnsOverTcp(octets, start, end, layers) {
  const length = octets.u16(start);
  if (start + 2 + length > end) {
    const made = layer("DNS", start, end);
    made.summary = `part of a message of ${length} B`;
    layers.push(made);
    return;
  }
  dns(octets, start + 2, start + 2 + length, layers);
}

export function dns(octets, start, end, layers) {
  const made = layer("DNS", start, end);
  layers.push(made);
  const flags = octets.u16(start + 2), response = flags & 0x8000;
  field(made, "Transaction", hex16(octets.u16(start)), start, 2);
  const row = field(made, "Flags", `${hex16(flags)} ${response ? "response" : "query"}`, start + 2, 2);
  field(row, "Set", bits(flags, ["", "", "", "", "CD", "AD", "", "RA", "RD", "TC", "AA"]).join(" ") || "none", start + 2, 2);
  if (response) field(row, "Response code", named(flags & 15, RESPONSE_CODES), start + 3, 1);
  const counts = [4, 6, 8, 10].map((at) => octets.u16(start + at));
  let at = start + 12, asked = "";
  for (let index = 0; index < counts[0]; index++) {
    const name = domainName(octets, at, start);
    const type = octets.u16(name.next);
    asked = `${RECORD_TYPES[type] ?? type} ${name.text}`;
    field(made, "Question", `${name.text} ${RECORD_TYPES[type] ?? type}`, at, name.next + 4 - at);
    at = name.next + 4;
  }
  const answers = [];
  for (let section = 0; section < 3; section++) {
    for (let index = 0; index < counts[section + 1]; index++) {
      at = resourceRecord(made, octets, SECTIONS[section], at, start, section === 0 ? answers : []);
    }
  }
  const code = flags & 15;
  made.summary = response ? `${asked}: ${code ? RESPONSE_CODES[code] ?? `rcode ${code}` : answers.join(", ") || "no answer"}` : `${asked}?`;
}

function resourceRecord(made, octets, section, start, message, answers) {
  const name = domainName(octets, start, message);
  const at = name.next, type = octets.u16(at), size = octets.u16(at + 8), data = at + 10;
  const text = resourceData(octets, type, data, data + size, message);
  if (type !== 41) answers.push(text);
  const row = field(made, section, `${name.text || "."} ${RECORD_TYPES[type] ?? type} ${text}`, start, data + size - start);
  field(row, "Name", name.text || ".", start, name.next - start);
  field(row, "Type", named(type, RECORD_TYPES), at, 2);
  if (type !== 41) field(row, "Time to live", `${octets.u32(at + 4)} s`, at + 4, 4);
  field(row, "Data", text, data, size);
  return data + size;
}

function resourceData(octets, type, start, end, message) {
  if (type === 1 && end - start === 4) return octets.ipv4(start);
  if (type === 28 && end - start === 16) return octets.ipv6(start);
  if (type === 2 || type === 5 || type === 12) return domainName(octets, start, message).text;
  if (type === 15) return `${octets.u16(start)} ${domainName(octets, start + 2, message).text}`;
  if (type === 16) return octets.text(start + 1, end);
  if (type === 6) return domainName(octets, start, message).text;
  return octets.hex(start, end, " ");
}

/** Names one after the other, as options of other protocols hold them; zeros at the end are padding. */
export function domainNames(octets, start, end) {
  const names = [];
  for (let at = start; at < end; ) {
    const name = domainName(octets, at, start);
    if (name.text) names.push(name.text);
    at = name.next;
  }
  return names;
}

// Compression pointers (RFC 1035 section 4.1.4) of a hostile message may form a loop: jumps are bounded.
function domainName(octets, start, message) {
  const labels = [];
  let at = start, next = -1;
  for (let jumps = 0; jumps < JUMPS; ) {
    const size = octets.u8(at);
    if (size === 0) return { text: labels.join("."), next: next < 0 ? at + 1 : next };
    if (size >= 0xc0) {
      if (next < 0) next = at + 2;
      at = message + (octets.u16(at) & 0x3fff);
      jumps++;
    } else {
      labels.push(octets.text(at + 1, at + 1 + size));
      at += 1 + size;
    }
    if (labels.length > 128) break;
  }
  throw new RangeError("a domain name that never ends");
}
