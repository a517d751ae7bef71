// ICMP (RFC 792, 1191) and ICMPv6 (RFC 4443); quoted packets are dissected too, by what dissected the packet around.
import { transportChecksum } from "./checksum.js";
import { field, hex16, internetChecksum, layer, named } from "./field.js";
import { NDP_TYPES, ndp } from "./ndp.js";
import { payload } from "./payload.js";

const ICMP_TYPES = { 0: "echo reply", 3: "destination unreachable", 5: "redirect", 8: "echo request", 11: "time exceeded", 12: "parameter problem" };
const UNREACHABLE = { 0: "net", 1: "host", 2: "protocol", 3: "port", 4: "fragmentation needed", 9: "net prohibited", 10: "host prohibited", 13: "administratively prohibited" };
const QUOTING = new Set([3, 5, 11, 12]);
const ICMPV6_TYPES = {
  1: "destination unreachable", 2: "packet too big", 3: "time exceeded", 4: "parameter problem", 128: "echo request", 129: "echo reply",
  130: "multicast listener query", 131: "multicast listener report", 132: "multicast listener done", 133: "router solicitation",
  134: "router advertisement", 135: "neighbour solicitation", 136: "neighbour advertisement", 137: "redirect", 143: "multicast listener report v2",
};
const ICMPV6_UNREACHABLE = { 0: "no route", 1: "administratively prohibited", 2: "beyond scope", 3: "address", 4: "port", 5: "source policy", 6: "reject route" };

export function icmp(octets, start, end, layers, pseudo) {
  const made = layer("ICMP", start, Math.min(start + 8, end));
  layers.push(made);
  const type = octets.u8(start), code = octets.u8(start + 1);
  made.summary = [ICMP_TYPES[type] ?? `type ${type}`, type === 3 ? UNREACHABLE[code] ?? `code ${code}` : ""].filter(Boolean).join(", ");
  field(made, "Type", named(type, ICMP_TYPES), start, 1);
  field(made, "Code", type === 3 ? named(code, UNREACHABLE) : code, start + 1, 1);
  const row = field(made, "Checksum", hex16(octets.u16(start + 2)), start + 2, 2);
  if (end <= octets.length) row.value += internetChecksum(octets.slice(start, end)) === 0 ? " (correct)" : " (wrong, or cut)";
  if (type === 0 || type === 8) echo(made, octets, start, end, layers);
  else {
    if (type === 3 && code === 4) field(made, "Next-hop MTU", octets.u16(start + 6), start + 6, 2);
    if (QUOTING.has(type)) quoted(pseudo.ip, octets, start + 8, end, layers);
    else payload(octets, start + 8, end, layers);
  }
}

export function icmpv6(octets, start, end, layers, pseudo) {
  const type = octets.u8(start), code = octets.u8(start + 1);
  const made = layer("ICMPv6", start, Math.min(start + 8, end));
  layers.push(made);
  made.summary = [ICMPV6_TYPES[type] ?? `type ${type}`, type === 1 ? ICMPV6_UNREACHABLE[code] ?? `code ${code}` : ""].filter(Boolean).join(", ");
  field(made, "Type", named(type, ICMPV6_TYPES), start, 1);
  field(made, "Code", type === 1 ? named(code, ICMPV6_UNREACHABLE) : code, start + 1, 1);
  transportChecksum(made, octets, start + 2, start, end, pseudo);
  if (type === 128 || type === 129) echo(made, octets, start, end, layers);
  else if (type < 5) {
    if (type === 2) field(made, "MTU", octets.u32(start + 4), start + 4, 4);
    quoted(pseudo.ip, octets, start + 8, end, layers);
  } else if (NDP_TYPES.has(type)) ndp(made, type, octets, start, end);
  else payload(octets, start + 8, end, layers);
}

function echo(made, octets, start, end, layers) {
  field(made, "Identifier", octets.u16(start + 4), start + 4, 2);
  field(made, "Sequence number", octets.u16(start + 6), start + 6, 2);
  made.summary += ` id ${octets.u16(start + 4)} seq ${octets.u16(start + 6)}`;
  payload(octets, start + 8, end, layers);
}

// Errors quote as little as the header and 8 octets: a quotation that ends early is no fault.
function quoted(dissector, octets, start, end, layers) {
  const before = layers.length;
  try {
    dissector(octets, start, end, layers);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
  }
  for (const inner of layers.slice(before)) inner.name = `Quoted ${inner.name}`;
}
