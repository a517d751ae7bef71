// A frame as layers, outermost first.
import { Octets } from "./field.js";
import { ethernet } from "./link.js";

/** Layers of `bytes`; what is missing or malformed is said in the last layer's `wrong`, never thrown. */
export function dissect(bytes, originalLength = bytes.length) {
  const layers = [];
  try {
    ethernet(new Octets(bytes), 0, bytes.length, layers);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    const last = layers.at(-1);
    if (last) {
      last.wrong = bytes.length < originalLength ? "the capture keeps only its beginning" : "malformed or too short";
      last.end = Math.min(last.end, bytes.length);
    }
  }
  return layers;
}
