// DHCPv6 (RFC 8415) and its options; DNS options by RFC 3646, captive portals by RFC 8910.
import { domainNames } from "./dns.js";
import { field, layer, named } from "./field.js";
import { ipv6List, lifetime } from "./ndp.js";

const DHCPV6_KINDS = {
  1: "SOLICIT", 2: "ADVERTISE", 3: "REQUEST", 4: "CONFIRM", 5: "RENEW", 6: "REBIND", 7: "REPLY", 8: "RELEASE", 9: "DECLINE",
  10: "RECONFIGURE", 11: "INFORMATION_REQUEST", 12: "RELAY_FORW", 13: "RELAY_REPL",
};
const DHCPV6_OPTIONS = {
  1: "Client identifier", 2: "Server identifier", 3: "IA_NA", 5: "IA address", 6: "Option request", 7: "Preference", 8: "Elapsed time",
  13: "Status", 14: "Rapid commit", 16: "Vendor class", 23: "DNS servers", 24: "Domain search", 25: "IA_PD", 32: "Information refresh time", 39: "Client FQDN", 103: "Captive portal",
};
const DHCPV6_STATUS = { 0: "Success", 1: "UnspecFail", 2: "NoAddrsAvail", 3: "NoBinding", 4: "NotOnLink", 5: "UseMulticast", 6: "NoPrefixAvail" };
const DHCPV6_DEPTH = 3;

export function dhcpv6(octets, start, end, layers) {
  const made = layer("DHCPv6", start, end);
  layers.push(made);
  const kind = octets.u8(start);
  made.summary = DHCPV6_KINDS[kind] ?? `type ${kind}`;
  field(made, "Message type", named(kind, DHCPV6_KINDS), start, 1);
  if (kind === 12 || kind === 13) return; // between relays and servers: never on a cable
  field(made, "Transaction", `0x${octets.hex(start + 1, start + 4)}`, start + 1, 3);
  dhcpv6Options(made, made, octets, start + 4, end, DHCPV6_DEPTH);
}

/** Options from `start` to `end` become fields of `parent`; the layer `made` sums up what is leased. */
function dhcpv6Options(made, parent, octets, start, end, depth) {
  for (let at = start; at < end; ) {
    const code = octets.u16(at), size = octets.u16(at + 2), body = at + 4;
    if (body + size > end) {
      made.wrong = `option ${code} does not fit`;
      return;
    }
    const row = field(parent, `Option ${code}${DHCPV6_OPTIONS[code] ? ` ${DHCPV6_OPTIONS[code]}` : ""}`, dhcpv6Value(octets, code, body, body + size), at, 4 + size);
    if (depth > 0 && code === 3 && size >= 12) dhcpv6Options(made, row, octets, body + 12, body + size, depth - 1);
    if (code === 5 && size >= 24) {
      made.summary += ` ${octets.ipv6(body)}`;
      if (depth > 0) dhcpv6Options(made, row, octets, body + 24, body + size, depth - 1);
    }
    at = body + size;
  }
}

function dhcpv6Value(octets, code, start, end) {
  const size = end - start;
  if (code === 3 && size >= 12) return `id ${octets.u32(start)}, T1 ${lifetime(octets.u32(start + 4))}, T2 ${lifetime(octets.u32(start + 8))}`;
  if (code === 5 && size >= 24) return `${octets.ipv6(start)}, preferred ${lifetime(octets.u32(start + 16))}, valid ${lifetime(octets.u32(start + 20))}`;
  if (code === 6 && size % 2 === 0) {
    const codes = Array.from({ length: size / 2 }, (_, index) => octets.u16(start + 2 * index));
    return codes.map((one) => `${one}${DHCPV6_OPTIONS[one] ? ` ${DHCPV6_OPTIONS[one]}` : ""}`).join(", ");
  }
  if (code === 7 && size === 1) return octets.u8(start);
  if (code === 8 && size === 2) return `${octets.u16(start) / 100} s`;
  if (code === 13 && size >= 2) return `${named(octets.u16(start), DHCPV6_STATUS)} ${octets.text(start + 2, end)}`.trim();
  if (code === 23 && size % 16 === 0) return ipv6List(octets, start, end);
  if (code === 24) return domainNames(octets, start, end).join(", ");
  if (code === 103) return octets.text(start, end);
  if (code === 32 && size === 4) return lifetime(octets.u32(start));
  return octets.hex(start, end, " ");
}
