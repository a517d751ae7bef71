// TCP connections and UDP exchanges, each as it was seen on each link; computed with the report.
import { h } from "./dom.js";
import { clockTime, grouped, span } from "./format.js";

const HEADS = ["Link", "", "From", "To", "Time", "Took", "Handshake", "Octets ↑", "Octets ↓", "Packets", "Sent again", "End"];
const TROUBLE = new Set(["reset", "refused", "unanswered"]);

/** A table of them; a click on one asks for its first packet. */
export function conversationsView(table, choosePacket) {
  const row = (_, index) => {
    const cell = (name, ...children) => h("td", { class: name }, ...children);
    const jump = h("button", { type: "button", class: "jump", onclick: () => choosePacket(table.first[index]) }, table.client[index]);
    const handshake = table.handshake[index], again = table.again[index], end = table.end[index];
    return h(
      "tr",
      { class: TROUBLE.has(end) ? "trouble" : "" },
      cell("", table.link[index]),
      cell(`proto-${table.protocol[index].toLowerCase()}`, table.protocol[index]),
      cell("", jump),
      cell("", table.server[index]),
      cell("number", clockTime(table.at[index])),
      cell("number", span(table.took[index])),
      cell("number", handshake === null ? "" : span(handshake)),
      cell("number", grouped(table.up[index])),
      cell("number", grouped(table.down[index])),
      cell("number", grouped(table.packets[index])),
      cell(again ? "number repeated" : "number", again ? grouped(again) : ""),
      cell("", end),
    );
  };
  const left = table.all - table.link.length;
  return h(
    "div",
    { class: "conversations", tabindex: "0", role: "group", "aria-label": "Conversations" },
    h("table", {}, h("thead", {}, h("tr", {}, HEADS.map((head) => h("th", { scope: "col" }, head)))), h("tbody", {}, table.link.map(row))),
    left > 0 && h("p", { class: "hint" }, `${grouped(left)} more are in the capture.`),
  );
}
