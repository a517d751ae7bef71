// UDP (RFC 768) and who lives on its ports.
import { transportChecksum } from "./checksum.js";
import { dhcp } from "./dhcp.js";
import { dhcpv6 } from "./dhcpv6.js";
import { dns } from "./dns.js";
import { field, layer } from "./field.js";
import { payload } from "./payload.js";

export function udp(octets, start, end, layers, pseudo) {
  const made = layer("UDP", start, start + 8);
  layers.push(made);
  const source = octets.u16(start), destination = octets.u16(start + 2), length = octets.u16(start + 4);
  made.summary = `${source} → ${destination}, ${length - 8} B`;
  field(made, "Source port", source, start, 2);
  field(made, "Destination port", destination, start + 2, 2);
  field(made, "Length", length, start + 4, 2);
  if (octets.u16(start + 6) === 0) field(made, "Checksum", "0x0000 (none)", start + 6, 2);
  else transportChecksum(made, octets, start + 6, start, start + length, pseudo);
  if (length < 8) {
    made.wrong = "the length is below 8";
    return;
  }
  const ports = [source, destination];
  const on = (...wanted) => ports.some((port) => wanted.includes(port));
  const next = on(67, 68) ? dhcp : on(546, 547) ? dhcpv6 : on(53, 5353) ? dns : payload;
  if (start + 8 < end) next(octets, start + 8, Math.min(end, start + length), layers);
}
