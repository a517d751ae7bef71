// The data blocks of the page: <script type="application/x-guestnet" id="…"> with base64 of zlib-deflated bytes.

/** The bytes of the data block `id`, or null when the page has none. */
export async function readBytes(id) {
  const block = document.getElementById(id);
  if (block === null) return null;
  return inflate(fromBase64(block.textContent.trim()));
}

/** The JSON value of the data block `id`. */
export async function readJson(id) {
  return JSON.parse(new TextDecoder().decode(await readBytes(id)));
}

function fromBase64(text) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text);
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let index = 0; index < binary.length; index++) bytes[index] = binary.charCodeAt(index);
  return bytes;
}

async function inflate(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}
