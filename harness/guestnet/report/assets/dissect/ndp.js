// Neighbour discovery (RFC 4861) and its options (also RFC 4191, RFC 8106, RFC 8910): what follows the first 8 octets of ICMPv6.
import { domainNames } from "./dns.js";
import { bits, field } from "./field.js";

const NDP_INFINITE = 0xffffffff;
const NDP_PREFERENCES = ["medium", "high", "reserved", "low"];
// Octets between the first 8 and the options.
const NDP_FIXED = { 133: 0, 134: 8, 135: 16, 136: 16, 137: 32 };
export const NDP_TYPES = new Set(Object.keys(NDP_FIXED).map(Number));

export function ndp(made, type, octets, start, end) {
  made.end = end;
  const body = start + 8;
  if (type === 134) routerAdvertisement(made, octets, start);
  if (type === 136) {
    field(made, "Flags", bits(octets.u8(start + 4) >> 5, ["override", "solicited", "router"]).reverse().join(" ") || "none", start + 4, 1);
  }
  if (type >= 135) {
    field(made, "Target", octets.ipv6(body), body, 16);
    made.summary += ` ${octets.ipv6(body)}`;
  }
  if (type === 137) field(made, "Destination", octets.ipv6(body + 16), body + 16, 16);
  ndpOptions(made, octets, body + NDP_FIXED[type], end);
}

function routerAdvertisement(made, octets, start) {
  const flags = octets.u8(start + 5);
  field(made, "Hop limit", octets.u8(start + 4), start + 4, 1);
  field(made, "Flags", bits(flags, ["", "", "", "", "", "home agent", "other configuration", "managed addresses"]).reverse().join(", ") || "none", start + 5, 1);
  field(made, "Preference", NDP_PREFERENCES[(flags >> 3) & 3], start + 5, 1);
  field(made, "Router lifetime", `${octets.u16(start + 6)} s`, start + 6, 2);
  field(made, "Reachable time", `${octets.u32(start + 8)} ms`, start + 8, 4);
  field(made, "Retransmission timer", `${octets.u32(start + 12)} ms`, start + 12, 4);
}

function ndpOptions(made, octets, start, end) {
  for (let at = start; at < end; ) {
    const type = octets.u8(at), size = 8 * octets.u8(at + 1);
    if (size === 0 || at + size > end) {
      made.wrong = `option ${type} has a length of ${size} B`;
      return;
    }
    const [name, value] = ndpOption(type, octets, at, size);
    const row = field(made, name, value, at, size);
    if (type === 3 && size === 32) ndpPrefix(row, octets, at);
    at += size;
  }
}

function ndpOption(type, octets, at, size) {
  if ((type === 1 || type === 2) && size === 8) return [type === 1 ? "Source link-layer address" : "Target link-layer address", octets.mac(at + 2)];
  if (type === 3 && size === 32) return ["Prefix", `${octets.ipv6(at + 16)}/${octets.u8(at + 2)}`];
  if (type === 4) return ["Redirected packet", `${size - 8} B`];
  if (type === 5 && size === 8) return ["MTU", octets.u32(at + 4)];
  if (type === 25) return ["DNS servers", `${ipv6List(octets, at + 8, at + size)} for ${lifetime(octets.u32(at + 4))}`];
  if (type === 31) return ["DNS search list", `${domainNames(octets, at + 8, at + size).join(", ")} for ${lifetime(octets.u32(at + 4))}`];
  if (type === 37) return ["Captive portal", octets.text(at + 2, unpadded(octets, at + 2, at + size))];
  return [`Option ${type}`, octets.hex(at + 2, at + size, " ")];
}

function unpadded(octets, start, end) {
  while (end > start && octets.u8(end - 1) === 0) end -= 1;
  return end;
}

function ndpPrefix(row, octets, at) {
  field(row, "Flags", bits(octets.u8(at + 3) >> 6, ["autonomous", "on-link"]).reverse().join(" ") || "none", at + 3, 1);
  field(row, "Valid lifetime", lifetime(octets.u32(at + 4)), at + 4, 4);
  field(row, "Preferred lifetime", lifetime(octets.u32(at + 8)), at + 8, 4);
}

export function ipv6List(octets, start, end) {
  return Array.from({ length: (end - start) >> 4 }, (_, index) => octets.ipv6(start + 16 * index)).join(", ");
}

export function lifetime(value) {
  return value === NDP_INFINITE ? "ever" : `${value} s`;
}
