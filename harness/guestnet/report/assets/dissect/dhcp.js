// DHCP (RFC 2131) and its options (RFC 2132).
import { field, layer, named } from "./field.js";

const DHCP_MAGIC = 0x63825363;
const DHCP_KINDS = { 1: "DISCOVER", 2: "OFFER", 3: "REQUEST", 4: "DECLINE", 5: "ACK", 6: "NAK", 7: "RELEASE", 8: "INFORM" };
const DHCP_OPTIONS = {
  1: ["Subnet mask", "addresses"], 3: ["Router", "addresses"], 6: ["Domain name server", "addresses"], 12: ["Host name", "text"],
  15: ["Domain name", "text"], 26: ["Interface MTU", "number"], 28: ["Broadcast address", "addresses"], 42: ["NTP servers", "addresses"],
  50: ["Requested address", "addresses"], 51: ["Lease time", "seconds"], 53: ["Message type", "kind"], 54: ["Server identifier", "addresses"],
  55: ["Parameter request list", "list"], 56: ["Message", "text"], 57: ["Maximum message size", "number"], 58: ["Renewal time T1", "seconds"],
  59: ["Rebinding time T2", "seconds"], 60: ["Vendor class", "text"], 61: ["Client identifier", "octets"], 114: ["Captive portal", "text"], 119: ["Domain search", "octets"],
};

export function dhcp(octets, start, end, layers) {
  const made = layer("DHCP", start, end);
  layers.push(made);
  field(made, "Operation", named(octets.u8(start), { 1: "request", 2: "reply" }), start, 1);
  field(made, "Transaction", `0x${octets.hex(start + 4, start + 8)}`, start + 4, 4);
  field(made, "Seconds", octets.u16(start + 8), start + 8, 2);
  field(made, "Flags", octets.u16(start + 10) & 0x8000 ? "broadcast" : "unicast", start + 10, 2);
  field(made, "Client address (ciaddr)", octets.ipv4(start + 12), start + 12, 4);
  field(made, "Your address (yiaddr)", octets.ipv4(start + 16), start + 16, 4);
  field(made, "Next server (siaddr)", octets.ipv4(start + 20), start + 20, 4);
  field(made, "Relay agent (giaddr)", octets.ipv4(start + 24), start + 24, 4);
  field(made, "Client MAC (chaddr)", octets.mac(start + 28), start + 28, 6);
  if (octets.u32(start + 236) !== DHCP_MAGIC) {
    made.wrong = "no magic cookie: plain BOOTP";
    return;
  }
  for (let at = start + 240; at < end && octets.u8(at) !== 255; ) {
    const code = octets.u8(at);
    if (code === 0) {
      at += 1;
      continue;
    }
    const size = octets.u8(at + 1);
    const [name, form] = DHCP_OPTIONS[code] ?? ["", "octets"];
    const value = dhcpOptionValue(octets, form, at + 2, at + 2 + size);
    field(made, `Option ${code}${name ? ` ${name}` : ""}`, value, at, 2 + size);
    if (code === 53) made.summary = value + (octets.u32(start + 16) ? ` ${octets.ipv4(start + 16)}` : "");
    at += 2 + size;
  }
}

function dhcpOptionValue(octets, form, start, end) {
  const size = end - start;
  if (form === "addresses" && size % 4 === 0) return Array.from({ length: size / 4 }, (_, index) => octets.ipv4(start + 4 * index)).join(", ");
  if (form === "text") return octets.text(start, end);
  if (form === "number" && size === 2) return octets.u16(start);
  if (form === "seconds" && size === 4) return `${octets.u32(start)} s`;
  if (form === "kind" && size === 1) return DHCP_KINDS[octets.u8(start)] ?? octets.u8(start);
  if (form === "list") return Array.from(octets.slice(start, end), (code) => `${code}${DHCP_OPTIONS[code] ? ` ${DHCP_OPTIONS[code][0]}` : ""}`).join(", ");
  return octets.hex(start, end, " ");
}
