// Building the page: every text goes through textContent or attributes, never through HTML parsing,
// because names, logs and packets come from a guest that may be hostile.

const SVG = "http://www.w3.org/2000/svg";

/** An element: `h("p", { class: "note", onclick: f }, "text", child)`. Null and false children are skipped. */
export function h(tag, properties = {}, ...children) {
  return furnish(document.createElement(tag), properties, children);
}

/** The same for SVG elements. */
export function s(tag, properties = {}, ...children) {
  return furnish(document.createElementNS(SVG, tag), properties, children);
}

function furnish(element, properties, children) {
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || (value === false && !name.startsWith("aria-"))) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true && !name.startsWith("aria-") ? "" : String(value));
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Puts `text` on the clipboard and says so on the button for a moment. */
export async function copyText(text, button) {
  const label = button.dataset.label ?? (button.dataset.label = button.textContent);
  button.textContent = (await intoClipboard(text)) ? "Copied" : "Press Ctrl+C";
  setTimeout(() => (button.textContent = label), 1500);
}

async function intoClipboard(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // file:// pages have no asynchronous clipboard in some browsers: the old way needs a selection.
    const area = h("textarea", { class: "offscreen", "aria-hidden": "true" });
    area.value = text;
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}

/** Offers `bytes` for download as `name`. */
export function saveBytes(bytes, name, type = "application/octet-stream") {
  const address = URL.createObjectURL(new Blob([bytes], { type }));
  const anchor = h("a", { href: address, download: name });
  document.body.append(anchor);
  anchor.click();
  anchor.remove();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

/** Calls `work` at most once a frame, however often the returned function is called. */
export function oncePerFrame(work) {
  let due = false;
  return () => {
    if (due) return;
    due = true;
    requestAnimationFrame(() => {
      due = false;
      work();
    });
  };
}
