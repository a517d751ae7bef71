// IPv4 (RFC 791), IPv6 (RFC 8200) with its extension headers.
import { bits, field, hex16, internetChecksum, layer, named } from "./field.js";
import { icmp, icmpv6 } from "./icmp.js";
import { payload } from "./payload.js";
import { tcp } from "./tcp.js";
import { udp } from "./udp.js";

const PROTOCOLS = { 0: "hop-by-hop", 1: "ICMP", 2: "IGMP", 6: "TCP", 17: "UDP", 41: "IPv6", 43: "routing", 44: "fragment", 58: "ICMPv6", 59: "none", 60: "destination options" };
const EXTENSIONS = new Set([0, 43, 44, 60]);
const ECN = ["not ECT", "ECT(1)", "ECT(0)", "CE"];

export function ipv4(octets, start, end, layers) {
  const headerLength = (octets.u8(start) & 15) * 4;
  const made = layer("IPv4", start, start + Math.max(headerLength, 20));
  layers.push(made);
  const total = octets.u16(start + 2), fragment = octets.u16(start + 6), protocol = octets.u8(start + 9);
  made.summary = `${octets.ipv4(start + 12)} → ${octets.ipv4(start + 16)}`;
  field(made, "Version", octets.u8(start) >> 4, start, 1);
  field(made, "Header length", `${headerLength} B`, start, 1);
  field(made, "DSCP", octets.u8(start + 1) >> 2, start + 1, 1);
  field(made, "ECN", ECN[octets.u8(start + 1) & 3], start + 1, 1);
  field(made, "Total length", total, start + 2, 2);
  field(made, "Identification", hex16(octets.u16(start + 4)), start + 4, 2);
  field(made, "Flags", bits(fragment >> 13, ["MF", "DF", "reserved"]).join(" ") || "none", start + 6, 1);
  field(made, "Fragment offset", (fragment & 0x1fff) * 8, start + 6, 2);
  field(made, "Time to live", octets.u8(start + 8), start + 8, 1);
  field(made, "Protocol", named(protocol, PROTOCOLS), start + 9, 1);
  headerChecksum(made, octets, start, headerLength);
  field(made, "Source", octets.ipv4(start + 12), start + 12, 4);
  field(made, "Destination", octets.ipv4(start + 16), start + 16, 4);
  if (headerLength > 20) field(made, "Options", octets.hex(start + 20, start + headerLength, " "), start + 20, headerLength - 20);
  if (headerLength < 20) {
    made.wrong = "the header length is below 20";
    return;
  }
  const last = Math.min(end, start + total);
  // For checksums, for quotations, and for lengths when the capture holds less than there was: `cut` octets are missing.
  const pseudo = { ip: ipv4, source: octets.slice(start + 12, start + 16), destination: octets.slice(start + 16, start + 20), cut: start + total - last, whole: last === start + total && (fragment & 0x3fff) === 0 };
  if (fragment & 0x1fff) payload(octets, start + headerLength, last, layers, "Fragment");
  else upper(protocol, octets, start + headerLength, last, layers, pseudo);
  if (last < end && last >= start + headerLength) payload(octets, last, end, layers, "Padding");
}

function headerChecksum(made, octets, start, headerLength) {
  const value = octets.u16(start + 10);
  const row = field(made, "Header checksum", hex16(value), start + 10, 2);
  if (start + headerLength > octets.length) return;
  row.value += internetChecksum(octets.slice(start, start + headerLength)) === 0 ? " (correct)" : " (wrong)";
  if (row.value.endsWith("(wrong)")) row.wrong = "wrong checksum";
}

export function ipv6(octets, start, end, layers) {
  const made = layer("IPv6", start, start + 40);
  layers.push(made);
  const word = octets.u32(start), length = octets.u16(start + 4);
  made.summary = `${octets.ipv6(start + 8)} → ${octets.ipv6(start + 24)}`;
  field(made, "Version", word >>> 28, start, 1);
  field(made, "Traffic class", `0x${((word >>> 20) & 255).toString(16)}`, start, 2);
  field(made, "Flow label", `0x${(word & 0xfffff).toString(16)}`, start + 1, 3);
  field(made, "Payload length", length, start + 4, 2);
  field(made, "Next header", named(octets.u8(start + 6), PROTOCOLS), start + 6, 1);
  field(made, "Hop limit", octets.u8(start + 7), start + 7, 1);
  field(made, "Source", octets.ipv6(start + 8), start + 8, 16);
  field(made, "Destination", octets.ipv6(start + 24), start + 24, 16);
  const last = Math.min(end, start + 40 + length);
  const pseudo = { ip: ipv6, source: octets.slice(start + 8, start + 24), destination: octets.slice(start + 24, start + 40), cut: start + 40 + length - last, whole: last === start + 40 + length };
  let next = octets.u8(start + 6), at = start + 40;
  while (EXTENSIONS.has(next)) {
    const size = next === 44 ? 8 : 8 * (octets.u8(at + 1) + 1);
    const extension = layer(`IPv6 ${PROTOCOLS[next]}`, at, at + size);
    layers.push(extension);
    field(extension, "Next header", named(octets.u8(at), PROTOCOLS), at, 1);
    if (next === 44) {
      pseudo.whole = false;
      field(extension, "Fragment offset", octets.u16(at + 2) & 0xfff8, at + 2, 2);
      field(extension, "More fragments", octets.u16(at + 2) & 1 ? "yes" : "no", at + 3, 1);
      field(extension, "Identification", `0x${octets.u32(at + 4).toString(16)}`, at + 4, 4);
      if (octets.u16(at + 2) & 0xfff8) return payload(octets, at + 8, last, layers, "Fragment");
    } else field(extension, "Octets", octets.hex(at + 2, at + size, " "), at + 2, size - 2);
    next = octets.u8(at);
    at += size;
  }
  upper(next, octets, at, last, layers, pseudo);
}

function upper(protocol, octets, start, end, layers, pseudo) {
  const next = { 1: icmp, 6: tcp, 17: udp, 58: icmpv6 }[protocol];
  if (next === undefined || start >= end) return payload(octets, start, end, layers);
  next(octets, start, end, layers, { ...pseudo, protocol });
}
