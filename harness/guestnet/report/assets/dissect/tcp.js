// TCP (RFC 9293) and its options.
import { transportChecksum } from "./checksum.js";
import { dnsOverTcp } from "./dns.js";
import { field, layer } from "./field.js";
import { payload } from "./payload.js";

const TCP_FLAGS = ["FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR"];

export function tcp(octets, start, end, layers, pseudo) {
  const headerLength = (octets.u8(start + 12) >> 4) * 4;
  const made = layer("TCP", start, start + Math.max(20, headerLength));
  layers.push(made);
  const source = octets.u16(start), destination = octets.u16(start + 2), flags = octets.u8(start + 13);
  const set = TCP_FLAGS.filter((_, bit) => flags & (1 << bit));
  made.summary = `${source} → ${destination} [${set.join(", ") || "no flags"}] ${Math.max(0, end + pseudo.cut - start - headerLength)} B`;
  field(made, "Source port", source, start, 2);
  field(made, "Destination port", destination, start + 2, 2);
  field(made, "Sequence number", octets.u32(start + 4), start + 4, 4);
  field(made, "Acknowledgment number", octets.u32(start + 8), start + 8, 4);
  field(made, "Header length", `${headerLength} B`, start + 12, 1);
  field(made, "Flags", `0x${flags.toString(16).padStart(2, "0")} ${set.join(" ") || "none"}`, start + 13, 1);
  field(made, "Window", octets.u16(start + 14), start + 14, 2);
  transportChecksum(made, octets, start + 16, start, end, pseudo);
  field(made, "Urgent pointer", octets.u16(start + 18), start + 18, 2);
  if (headerLength < 20) {
    made.wrong = "the header length is below 20";
    return;
  }
  if (headerLength > 20) tcpOptions(made, octets, start + 20, start + headerLength);
  const body = start + headerLength;
  if (body < end && (source === 53 || destination === 53)) dnsOverTcp(octets, body, end, layers);
  else payload(octets, body, end, layers);
}

function tcpOptions(made, octets, start, end) {
  const all = field(made, "Options", `${end - start} B`, start, end - start);
  for (let at = start; at < end; ) {
    const kind = octets.u8(at);
    if (kind < 2) {
      field(all, kind === 0 ? "End of options" : "No operation", "", at, 1);
      at += 1;
      if (kind === 0) return;
      continue;
    }
    const size = octets.u8(at + 1);
    if (size < 2 || at + size > end) {
      all.wrong = `option ${kind} has length ${size}`;
      return;
    }
    const [name, value] = tcpOption(octets, kind, at + 2, at + size);
    field(all, name, value, at, size);
    at += size;
  }
}

function tcpOption(octets, kind, start, end) {
  const size = end - start;
  if (kind === 2 && size === 2) return ["Maximum segment size", octets.u16(start)];
  if (kind === 3 && size === 1) return ["Window scale", `${octets.u8(start)} (× ${2 ** octets.u8(start)})`];
  if (kind === 4) return ["SACK permitted", ""];
  if (kind === 5) {
    const edges = [];
    for (let at = start; at + 8 <= end; at += 8) edges.push(`${octets.u32(at)}–${octets.u32(at + 4)}`);
    return ["SACK", edges.join(", ")];
  }
  if (kind === 8 && size === 8) return ["Timestamps", `value ${octets.u32(start)}, echo ${octets.u32(start + 4)}`];
  return [`Option ${kind}`, octets.hex(start, end, " ")];
}
