// What dissectors make: a layer is {name, summary, start, end, fields, wrong}, a field
// {name, value, start, end, fields, wrong}. Offsets count from the frame's first octet.
// Reading beyond the captured octets throws RangeError; `dissect` then marks the layer as cut.

export class Octets {
  constructor(bytes) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }
  get length() {
    return this.bytes.length;
  }
  u8(at) {
    return this.view.getUint8(at);
  }
  u16(at) {
    return this.view.getUint16(at);
  }
  u32(at) {
    return this.view.getUint32(at);
  }
  slice(start, end) {
    if (start < 0 || end > this.length || start > end) throw new RangeError(`octets ${start} to ${end} of ${this.length}`);
    return this.bytes.subarray(start, end);
  }
  hex(start, end, separator = "") {
    return Array.from(this.slice(start, end), (octet) => octet.toString(16).padStart(2, "0")).join(separator);
  }
  mac(at) {
    return this.hex(at, at + 6, ":");
  }
  ipv4(at) {
    return this.slice(at, at + 4).join(".");
  }
  ipv6(at) {
    this.slice(at, at + 16);
    const groups = Array.from({ length: 8 }, (_, index) => this.u16(at + 2 * index));
    return compressed(groups);
  }
  text(start, end) {
    return printable(this.slice(start, end));
  }
}

/** Octets as ASCII, everything else as a dot. */
export function printable(octets) {
  return Array.from(octets, (octet) => (octet >= 0x20 && octet < 0x7f ? String.fromCharCode(octet) : ".")).join("");
}

// RFC 5952: the longest run of two or more zero groups becomes "::".
function compressed(groups) {
  let best = { start: -1, length: 1 };
  for (let start = 0; start < 8; start++) {
    let length = 0;
    while (start + length < 8 && groups[start + length] === 0) length++;
    if (length > best.length) best = { start, length };
  }
  const hex = groups.map((group) => group.toString(16));
  if (best.start < 0) return hex.join(":");
  return `${hex.slice(0, best.start).join(":")}::${hex.slice(best.start + best.length).join(":")}`;
}

export function layer(name, start, end) {
  return { name, summary: "", start, end, fields: [], wrong: "" };
}

/** Appends a field of `size` octets at `start` to `parent` and returns it. */
export function field(parent, name, value, start, size) {
  const made = { name, value: String(value), start, end: start + size, fields: [], wrong: "" };
  parent.fields.push(made);
  return made;
}

export function hex16(value) {
  return `0x${value.toString(16).padStart(4, "0")}`;
}

/** "6 (TCP)", or just the number when `names` has none for it. */
export function named(value, names) {
  return names[value] === undefined ? String(value) : `${value} (${names[value]})`;
}

/** The names of the bits set in `value`; `names` goes from the lowest bit up. */
export function bits(value, names) {
  return names.filter((name, index) => name && value & (1 << index));
}

/** Ones' complement sum of 16-bit words (RFC 1071) over several octet arrays of even length but the last. */
export function internetChecksum(...parts) {
  let sum = 0;
  for (const part of parts) {
    for (let index = 0; index < part.length; index += 2) sum += (part[index] << 8) | (part[index + 1] ?? 0);
  }
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}
