// Where the frames lie in a pcapng file (draft-ietf-opsawg-pcapng).
// Times, links and comments were read in Python already.

const SECTION_HEADER = 0x0a0d0d0a;
const ENHANCED_PACKET = 6;
const OLD_PACKET = 2; // obsolete, laid out alike
const BYTE_ORDER_MAGIC = 0x1a2b3c4d;

/** `{offset, length, original}` of each packet: typed arrays. A block that is cut off ends the walk. */
export function framePositions(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const offset = [], length = [], original = [];
  let little = true;
  for (let at = 0; at + 12 <= bytes.length; ) {
    const type = view.getUint32(at, little);
    if (type === SECTION_HEADER) little = view.getUint32(at + 8, true) === BYTE_ORDER_MAGIC;
    const total = view.getUint32(at + 4, little);
    if (total < 12 || at + total > bytes.length) break;
    if (type === ENHANCED_PACKET || type === OLD_PACKET) {
      offset.push(at + 28);
      length.push(view.getUint32(at + 20, little));
      original.push(view.getUint32(at + 24, little));
    }
    at += total;
  }
  return { offset: Uint32Array.from(offset), length: Uint32Array.from(length), original: Uint32Array.from(original) };
}
