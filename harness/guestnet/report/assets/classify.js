// What a frame is, fast enough for a whole capture: its protocols for the filter, one word for the list.

const TCP_BITS = [[1, "fin"], [2, "syn"], [4, "rst"]];
const EXTENSIONS_KNOWN = new Set([0, 43, 44, 60]);
const HTTP_START = /^(GET |HEAD |POST |PUT |DELETE |OPTIONS |CONNECT |PATCH |HTTP\/1)/;

/** Every word that `classify` can give: the filter takes them as protocols, not as text. */
export const PROTOCOLS_KNOWN = new Set([
  "eth", "arp", "rarp", "ip", "ipv6", "tcp", "udp", "icmp", "icmpv6", "ndp", "dns", "dhcp", "dhcpv6", "http", "tls", "fin", "syn", "rst", "fragment",
]);

/** `{words, label, ports, trouble}` of a frame; `trouble` marks resets and unreachables. */
export function classify(frame) {
  const found = { words: ["eth"], label: "ETH", ports: null, trouble: false };
  if (frame.length < 14) return found;
  const type = (frame[12] << 8) | frame[13];
  if (type === 0x0806) name(found, "arp");
  else if (type === 0x8035) name(found, "rarp");
  else if (type === 0x0800 && frame.length >= 34) classifyIpv4(frame, found);
  else if (type === 0x86dd && frame.length >= 54) {
    name(found, "ipv6");
    classifyIpv6(frame, found);
  }
  return found;
}

function name(found, word) {
  found.words.push(word);
  found.label = word.toUpperCase();
}

function classifyIpv4(frame, found) {
  name(found, "ip");
  if (((frame[20] << 8) | frame[21]) & 0x3fff) {
    name(found, "fragment");
    if (((frame[20] << 8) | frame[21]) & 0x1fff) return;
  }
  classifyTransport(frame, 14 + (frame[14] & 15) * 4, frame[23], found);
}

function classifyIpv6(frame, found) {
  let next = frame[20], at = 54;
  while (EXTENSIONS_KNOWN.has(next) && frame.length >= at + 8) {
    if (next === 44 && ((frame[at + 2] << 8) | frame[at + 3]) & 0xfff9) {
      name(found, "fragment");
      if (((frame[at + 2] << 8) | frame[at + 3]) & 0xfff8) return;
    }
    const size = next === 44 ? 8 : 8 * (frame[at + 1] + 1);
    next = frame[at];
    at += size;
  }
  classifyTransport(frame, at, next, found);
}

function classifyTransport(frame, start, protocol, found) {
  if (protocol === 1 || protocol === 58) {
    name(found, protocol === 1 ? "icmp" : "icmpv6");
    found.trouble = protocol === 1 ? [3, 11, 12].includes(frame[start]) : frame[start] < 128;
    if (protocol === 58 && frame[start] >= 133 && frame[start] <= 137) name(found, "ndp");
    return;
  }
  if ((protocol !== 6 && protocol !== 17) || frame.length < start + 8) return;
  name(found, protocol === 6 ? "tcp" : "udp");
  found.ports = [(frame[start] << 8) | frame[start + 1], (frame[start + 2] << 8) | frame[start + 3]];
  const on = (...ports) => found.ports.some((port) => ports.includes(port));
  let body = start + 8;
  if (protocol === 6 && frame.length >= start + 14) {
    for (const [bit, word] of TCP_BITS) if (frame[start + 13] & bit) found.words.push(word);
    found.trouble = (frame[start + 13] & 4) !== 0;
    body = start + (frame[start + 12] >> 4) * 4;
  }
  if (body >= frame.length) return;
  if (on(53, 5353)) name(found, "dns");
  else if (protocol === 17 && on(67, 68)) name(found, "dhcp");
  else if (protocol === 17 && on(546, 547)) name(found, "dhcpv6");
  else if (protocol === 6 && frame[body] >= 20 && frame[body] <= 23 && frame[body + 1] === 3 && on(443, 8443)) name(found, "tls");
  else if (protocol === 6 && HTTP_START.test(String.fromCharCode(...frame.subarray(body, body + 8)))) name(found, "http");
}
