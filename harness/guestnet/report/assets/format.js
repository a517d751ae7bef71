// Numbers for people.

const SECOND = 1e9;

/** Nanoseconds since the start as seconds: "0.001204". */
export function clockTime(nanoseconds) {
  return (nanoseconds / SECOND).toFixed(6);
}

/** A length of time with three digits: "12.3 ms". */
export function span(nanoseconds) {
  const size = Math.abs(nanoseconds);
  if (size >= 60 * SECOND) return `${Math.floor(nanoseconds / (60 * SECOND))} min ${Math.round((nanoseconds / SECOND) % 60)} s`;
  for (const [unit, scale] of [["s", SECOND], ["ms", 1e6], ["µs", 1e3]]) {
    if (size >= scale) return `${trim(nanoseconds / scale)} ${unit}`;
  }
  return `${Math.round(nanoseconds)} ns`;
}

/** A number of bytes: "14.2 MB". */
export function byteCount(count) {
  for (const [unit, scale] of [["MB", 1e6], ["kB", 1e3]]) {
    if (count >= scale) return `${trim(count / scale)} ${unit}`;
  }
  return `${count} B`;
}

/** A whole number with thin groups: "10,000". */
export function grouped(count) {
  return count.toLocaleString("en");
}

function trim(value) {
  return Math.abs(value) >= 100 ? value.toFixed(0) : Math.abs(value) >= 10 ? value.toFixed(1) : value.toFixed(2);
}
