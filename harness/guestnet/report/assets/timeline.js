// One timeline of a scenario: steps, expectations, events, and each link up and down, on a canvas, because
// 10,000 packets are too many elements. Everything on it is also in the lists below, where keyboards reach it.
import { h, oncePerFrame } from "./dom.js";
import { span } from "./format.js";
import { COLOURS, fitted, LANE, lanesOf } from "./lanes.js";

const AXIS = 22;
const REACH = 7;
const SMALLEST = 1000;

export class Timeline {
  #scenario;
  #handlers;
  #view;
  #lanes;
  #chosen = null;
  #drag = null;
  #ground = null;
  #repaint = oncePerFrame(() => this.#paint());
  #redraw = () => {
    this.#ground = null;
    this.#repaint();
  };

  /** `handlers`: `packet(row)` and `event(index)`, called when one is clicked. */
  constructor(scenario, handlers) {
    this.#scenario = scenario;
    this.#handlers = handlers;
    this.#view = this.#everything();
    this.#lanes = lanesOf(scenario);
    this.#build();
  }

  /** Marks the time `at` and brings it into view. */
  choose(at) {
    this.#chosen = at;
    const { from, to } = this.#view;
    if (at < from || at > to) this.#look(at - (to - from) / 2, at + (to - from) / 2);
    this.#repaint();
  }

  #everything() {
    const margin = this.#scenario.end * 0.015;
    return { from: -margin, to: this.#scenario.end + margin };
  }

  #build() {
    const height = AXIS + this.#lanes.reduce((sum, lane) => sum + lane.height, 0) + 4;
    this.canvas = h("canvas", {
      class: "timeline-canvas", tabindex: "0", role: "img",
      "aria-label": "Timeline of steps, events and packets. Arrow keys move, plus and minus zoom, 0 shows everything. All of it is in the lists below.",
      onpointerdown: (event) => this.#press(event), onpointermove: (event) => this.#move(event), onpointerup: (event) => this.#release(event),
      onpointercancel: () => this.#cancel(), onpointerleave: () => (this.tip.hidden = true), ondblclick: () => this.#fit(),
      onkeydown: (event) => this.#key(event),
    });
    this.canvas.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    this.canvas.style.height = `${height}px`;
    this.tip = h("div", { class: "tip", hidden: true });
    this.shown = h("output", { class: "count" });
    const button = (text, label, action) => h("button", { type: "button", "aria-label": label, title: label, onclick: action }, text);
    this.element = h(
      "section",
      { class: "panel timeline", "aria-label": "Timeline" },
      h(
        "div",
        { class: "panel-head" },
        h("h3", {}, "Timeline"),
        this.shown,
        h("span", { class: "hint" }, "drag to zoom, double-click to see it all"),
        h("span", { class: "zoom" }, button("−", "Zoom out", () => this.#zoom(2)), button("+", "Zoom in", () => this.#zoom(0.5)), button("All", "Show everything", () => this.#fit())),
      ),
      h("div", { class: "timeline-box" }, this.canvas, this.tip),
    );
    new ResizeObserver(this.#redraw).observe(this.canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", this.#redraw);
  }

  // Geometry

  get #gutter() {
    return this.canvas.clientWidth < 560 ? 66 : 112;
  }
  get #width() {
    return Math.max(1, this.canvas.clientWidth - this.#gutter - 8);
  }
  #x(at) {
    return this.#gutter + ((at - this.#view.from) / (this.#view.to - this.#view.from)) * this.#width;
  }
  #timeAt(x) {
    return this.#view.from + ((x - this.#gutter) / this.#width) * (this.#view.to - this.#view.from);
  }

  #look(from, to) {
    const all = this.#everything();
    const size = Math.min(Math.max(to - from, SMALLEST), all.to - all.from);
    const start = Math.min(Math.max((from + to) / 2 - size / 2, all.from), all.to - size);
    this.#view = { from: start, to: start + size };
    this.#redraw();
  }
  #zoom(factor, around = (this.#view.from + this.#view.to) / 2) {
    const { from, to } = this.#view;
    this.#look(around - (around - from) * factor, around + (to - around) * factor);
  }
  #fit() {
    this.#view = this.#everything();
    this.#redraw();
  }

  // Hands

  #wheel(event) {
    const size = this.#view.to - this.#view.from;
    if (event.ctrlKey || event.metaKey) this.#zoom(Math.exp(event.deltaY * 0.004), this.#timeAt(event.offsetX));
    else if (event.deltaX || event.shiftKey) {
      const shift = ((event.deltaX || event.deltaY) / this.#width) * size;
      this.#look(this.#view.from + shift, this.#view.to + shift);
    } else return;
    event.preventDefault();
  }

  #key(event) {
    const size = this.#view.to - this.#view.from;
    const shift = { ArrowLeft: -0.2, ArrowRight: 0.2 }[event.key];
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (shift) this.#look(this.#view.from + shift * size, this.#view.to + shift * size);
    else if (event.key === "+" || event.key === "=") this.#zoom(0.5);
    else if (event.key === "-") this.#zoom(2);
    else if (event.key === "0") this.#fit();
    else return;
    event.preventDefault();
  }

  #press(event) {
    if (event.button !== 0 || event.pointerType === "touch") return;
    this.#drag = { from: event.offsetX, to: event.offsetX };
    this.canvas.setPointerCapture(event.pointerId);
  }
  #move(event) {
    if (this.#drag) {
      this.#drag.to = event.offsetX;
      this.#repaint();
    } else this.#hover(event);
  }
  #release(event) {
    const drag = this.#drag;
    this.#cancel();
    if (drag && Math.abs(drag.to - drag.from) > 6) {
      this.#look(this.#timeAt(Math.min(drag.from, drag.to)), this.#timeAt(Math.max(drag.from, drag.to)));
      return;
    }
    const found = this.#find(event.offsetX, event.offsetY);
    if (found?.row !== undefined) this.#handlers.packet(found.row);
    else if (found?.event !== undefined) this.#handlers.event(found.event);
  }
  #cancel() {
    this.#drag = null;
    this.#repaint();
  }

  #hover(event) {
    const found = this.#find(event.offsetX, event.offsetY);
    this.tip.hidden = !found;
    this.canvas.style.cursor = found ? "pointer" : "crosshair";
    if (!found) return;
    this.tip.replaceChildren(h("b", {}, `${(found.at / 1e9).toFixed(6)} s`), ` ${found.text}`);
    this.tip.style.left = `${Math.min(event.offsetX + 12, Math.max(0, this.canvas.clientWidth - this.tip.offsetWidth - 4))}px`;
    this.tip.style.top = `${event.offsetY + 18}px`;
  }

  /** What lies at a point: the lane's item nearest in time, when it is within reach. */
  #find(x, y) {
    let top = AXIS;
    for (const lane of this.#lanes) {
      if (y >= top && y < top + lane.height) return lane.find(this.#timeAt(x), (REACH / this.#width) * (this.#view.to - this.#view.from), y - top);
      top += lane.height;
    }
    return null;
  }

  // Paint

  #paint() {
    const { canvas } = this;
    if (!canvas.clientWidth) return;
    this.#ground ??= this.#paintGround();
    canvas.width = this.#ground.width;
    canvas.height = this.#ground.height;
    const pen = canvas.getContext("2d");
    pen.drawImage(this.#ground, 0, 0);
    pen.scale(devicePixelRatio, devicePixelRatio);
    this.#marks(pen, coloursOf(canvas), canvas.clientHeight);
  }

  /** Everything but the marks that follow a hand: painting thousands of packets for each key would be slow. */
  #paintGround() {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    const ground = h("canvas", { width: Math.round(width * devicePixelRatio), height: Math.round(height * devicePixelRatio) });
    const pen = ground.getContext("2d");
    const colours = coloursOf(this.canvas);
    pen.scale(devicePixelRatio, devicePixelRatio);
    pen.font = `11px ${colours.font}`;
    pen.textBaseline = "middle";
    this.#axis(pen, colours, width, height);
    let top = AXIS;
    for (const lane of this.#lanes) {
      pen.fillStyle = colours.line;
      pen.fillRect(0, top, width, 1);
      pen.fillStyle = colours.dim;
      pen.fillText(fitted(pen, lane.label, this.#gutter - 12), 4, top + Math.min(lane.height, LANE) / 2 + 1);
      pen.save();
      pen.beginPath();
      pen.rect(this.#gutter, top, this.#width, lane.height);
      pen.clip();
      lane.paint(pen, colours, { top: top + 1, height: lane.height - 1, from: this.#gutter, width: this.#width, x: (at) => this.#x(at), view: this.#view });
      pen.restore();
      top += lane.height;
    }
    this.shown.textContent = span(Math.min(this.#view.to, this.#scenario.end) - Math.max(this.#view.from, 0));
    return ground;
  }

  #axis(pen, colours, width, height) {
    const size = this.#view.to - this.#view.from;
    const step = niceStep(size / Math.max(2, this.#width / 110));
    const digits = Math.max(0, 9 - Math.floor(Math.log10(step)));
    for (let at = Math.ceil(this.#view.from / step) * step; at <= this.#view.to; at += step) {
      const x = Math.round(this.#x(at)) + 0.5;
      pen.fillStyle = colours.line;
      pen.fillRect(x, AXIS - 5, 1, height - AXIS + 5);
      pen.fillStyle = colours.dim;
      const text = `${(at / 1e9).toFixed(Math.min(digits, 9))} s`;
      pen.fillText(text, Math.min(x + 4, width - pen.measureText(text).width - 2), AXIS / 2);
    }
  }

  #marks(pen, colours, height) {
    for (const expectation of this.#scenario.expectations) {
      if (expectation.met) continue;
      pen.fillStyle = colours.bad;
      pen.globalAlpha = 0.55;
      pen.fillRect(this.#x(expectation.at) - 0.5, AXIS, 1, height - AXIS);
      pen.globalAlpha = 1;
    }
    if (this.#chosen !== null && this.#chosen >= this.#view.from && this.#chosen <= this.#view.to) {
      pen.fillStyle = colours.accent;
      pen.fillRect(this.#x(this.#chosen) - 1, 2, 2, height - 2);
    }
    if (this.#drag) {
      pen.fillStyle = colours.accent;
      pen.globalAlpha = 0.2;
      pen.fillRect(Math.min(this.#drag.from, this.#drag.to), 0, Math.abs(this.#drag.to - this.#drag.from), height);
      pen.globalAlpha = 1;
    }
  }
}

function niceStep(least) {
  const power = 10 ** Math.floor(Math.log10(least));
  return [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= least);
}

function coloursOf(element) {
  const style = getComputedStyle(element);
    const colours = Object.fromEntries(COLOURS.map((name) => [name, style.getPropertyValue(`--${name}`).trim() || style.color]));
  return { ...colours, font: style.fontFamily };
}
