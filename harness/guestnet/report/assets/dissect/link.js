// Ethernet II, 802.1Q and ARP.
import { field, hex16, layer, named } from "./field.js";
import { ipv4, ipv6 } from "./ip.js";
import { payload } from "./payload.js";

const ETHERTYPES = { 0x0800: "IPv4", 0x0806: "ARP", 0x8035: "RARP", 0x8100: "802.1Q", 0x86dd: "IPv6" };
const ARP_OPERATIONS = { 1: "request", 2: "reply", 3: "reverse request", 4: "reverse reply" };

export function ethernet(octets, start, end, layers) {
  const made = layer("Ethernet", start, start + 14);
  layers.push(made);
  field(made, "Destination", octets.mac(start), start, 6);
  field(made, "Source", octets.mac(start + 6), start + 6, 6);
  const type = octets.u16(start + 12);
  field(made, "Type", `${hex16(type)}${ETHERTYPES[type] ? ` (${ETHERTYPES[type]})` : ""}`, start + 12, 2);
  made.summary = `${octets.mac(start + 6)} → ${octets.mac(start)}`;
  byType(type, octets, start + 14, end, layers);
}

function vlan(octets, start, end, layers) {
  const made = layer("802.1Q VLAN", start, start + 4);
  layers.push(made);
  const tag = octets.u16(start);
  field(made, "Priority", tag >> 13, start, 1);
  field(made, "VLAN", tag & 0xfff, start, 2);
  field(made, "Type", hex16(octets.u16(start + 2)), start + 2, 2);
  made.summary = `ID ${tag & 0xfff}`;
  byType(octets.u16(start + 2), octets, start + 4, end, layers);
}

function byType(type, octets, start, end, layers) {
  const next = { 0x0800: ipv4, 0x0806: arp, 0x8035: arp, 0x8100: vlan, 0x86dd: ipv6 }[type] ?? payload;
  next(octets, start, end, layers);
}

function arp(octets, start, end, layers) {
  const operation = octets.u16(start + 6);
  const made = layer(operation < 3 ? "ARP" : "RARP", start, start + 28); // RFC 826, RFC 903
  layers.push(made);
  field(made, "Hardware type", named(octets.u16(start), { 1: "Ethernet" }), start, 2);
  field(made, "Protocol type", hex16(octets.u16(start + 2)), start + 2, 2);
  field(made, "Hardware size", octets.u8(start + 4), start + 4, 1);
  field(made, "Protocol size", octets.u8(start + 5), start + 5, 1);
  field(made, "Operation", named(operation, ARP_OPERATIONS), start + 6, 2);
  field(made, "Sender MAC", octets.mac(start + 8), start + 8, 6);
  field(made, "Sender IP", octets.ipv4(start + 14), start + 14, 4);
  field(made, "Target MAC", octets.mac(start + 18), start + 18, 6);
  field(made, "Target IP", octets.ipv4(start + 24), start + 24, 4);
  if (operation === 1) made.summary = `who has ${octets.ipv4(start + 24)}? tell ${octets.ipv4(start + 14)}`;
  else if (operation === 2) made.summary = `${octets.ipv4(start + 14)} is at ${octets.mac(start + 8)}`;
  else made.summary = `${ARP_OPERATIONS[operation] ?? `operation ${operation}`} for ${octets.mac(start + 18)}`;
  if (start + 28 < end) payload(octets, start + 28, end, layers, "Padding");
}
