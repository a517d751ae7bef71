// The checksum over a pseudo-header (RFC 9293 section 3.1, RFC 8200 section 8.1) as a field of a layer.
import { field, hex16, internetChecksum } from "./field.js";

/** `start` to `end` is the whole segment; `at` is where its checksum lies. Not judged when octets are missing. */
export function transportChecksum(made, octets, at, start, end, pseudo) {
  const value = octets.u16(at);
  const row = field(made, "Checksum", hex16(value), at, 2);
  if (!pseudo.whole || end > octets.length) return;
  const length = end - start;
  const tail = Uint8Array.of(length >>> 24, (length >>> 16) & 255, (length >>> 8) & 255, length & 255, 0, 0, 0, pseudo.protocol);
  const sum = internetChecksum(pseudo.source, pseudo.destination, tail, octets.slice(start, end));
  if (sum === 0) row.value += " (correct)";
  else if (value === (internetChecksum(pseudo.source, pseudo.destination, tail) ^ 0xffff)) row.value += " (left to the hardware)";
  else {
    row.value += " (wrong)";
    row.wrong = "wrong checksum";
  }
}
