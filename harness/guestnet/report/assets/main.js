// The page: which scenarios are shown, which is opened, and where the address points.
import { copyText } from "./dom.js";
import { ScenarioView } from "./scenario.js";

const index = JSON.parse(document.getElementById("index").textContent);
const boxes = [...document.querySelectorAll("details.scenario")];
const views = boxes.map((box, at) => new ScenarioView(box, index[at], (place) => rememberPlace(`#${box.id}/${place}`)));
let remembering = 0;
const search = document.getElementById("search");
const verdictButtons = [...document.querySelectorAll("[data-verdict]")];

// Opened scenarios are drawn when they come near the window: a run with thirty failures opens at once.
const nearWindow = new IntersectionObserver(
  (entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting || !entry.target.open) continue;
      nearWindow.unobserve(entry.target);
      views[boxes.indexOf(entry.target)].ready();
    }
  },
  { rootMargin: "400px" },
);

// Once the choice has settled: browsers refuse an address that changes with each repeat of a held key. An address
// that somebody entered meanwhile is the newer choice.
function rememberPlace(address) {
  clearTimeout(remembering);
  const before = location.href;
  remembering = setTimeout(() => {
    if (location.href === before) history.replaceState(null, "", address);
  }, 150);
}

function watch(box) {
  nearWindow.unobserve(box);
  if (box.open) nearWindow.observe(box);
}

function applyFilters() {
  const verdict = verdictButtons.find((button) => button.getAttribute("aria-pressed") === "true").dataset.verdict;
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  let shown = 0;
  boxes.forEach((box, at) => {
    const outcome = index[at].outcome === "error" ? "failed" : index[at].outcome;
    const text = box.querySelector("summary").textContent.toLowerCase();
    box.hidden = (verdict !== "" && outcome !== verdict) || !words.every((word) => text.includes(word));
    if (!box.hidden) shown++;
  });
  document.querySelector(".nothing").hidden = shown > 0;
}

/** Follows "#scenario-…" or "#scenario-…/packet-42". */
async function follow() {
  const [id, place] = location.hash.slice(1).split("/");
  const at = boxes.findIndex((box) => box.id === id);
  if (at < 0) return;
  boxes[at].hidden = false;
  boxes[at].open = true;
  boxes[at].scrollIntoView();
  await views[at].ready();
  if (place) await views[at].goTo(place);
}

for (const button of verdictButtons) {
  button.addEventListener("click", () => {
    for (const other of verdictButtons) other.setAttribute("aria-pressed", other === button);
    applyFilters();
  });
}
for (const button of document.querySelectorAll("button.copy")) {
  button.addEventListener("click", () => copyText(button.previousElementSibling.textContent, button));
}
for (const box of boxes) {
  box.addEventListener("toggle", () => watch(box));
  watch(box);
}
search.addEventListener("input", applyFilters);
addEventListener("hashchange", follow);
await follow();
