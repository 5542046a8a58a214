// The gallery, the pages of images, and the keys. In one function with pictures.js and
// attributes.js.

const CARDS = 24;  // made at a time
const AT_ONCE = 4;  // that have their pictures before they are seen
const report = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);
const urls = new Map();
let shown = [];  // images of the set that pass the filters, in order
let lacking = 0;  // of those that pass all filters but the attribute's, how many do not have it
let made = 0;  // of them, those that have a card
let scrolled = 0;  // where the gallery was left
let chosen = -1;  // position of the image that the keys are on

function element(tag, properties, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
}

// ---- what the controls say

const setNumber = () => Number(byId("set").value);
const current = () => report.sets[setNumber()];
const measure = () => current().measures[Number(byId("measure").value)];
const checkedMethods = () => [...document.querySelectorAll("#methods input:checked")]
  .map((box) => Number(box.value));

function scoresOf(image, methods) {
  const column = Number(byId("measure").value);
  return methods.map((method) => current().scores[method][image]?.[column] ?? null);
}

function consulted() {
  const of = byId("of").value;
  return of === "mean" ? checkedMethods() : [Number(of)];
}

// The mean over the methods asked for; null when any of them has no score.
function scoreOf(image) {
  const scores = scoresOf(image, consulted());
  if (!scores.length || scores.includes(null)) return null;
  return scores.reduce((sum, value) => sum + value, 0) / scores.length;
}

// Between the best and the worst method.
function distance(image) {
  const scores = scoresOf(image, checkedMethods()).filter((value) => value !== null);
  return scores.length ? Math.max(...scores) - Math.min(...scores) : 0;
}

function number(id) {
  const text = byId(id).value;
  return text === "" ? null : Number(text);
}

function passes(image, scores) {
  const word = byId("search").value.trim().toLowerCase();
  if (word && !current().names[image].toLowerCase().includes(word)) return false;
  if (byId("unscored").checked)
    return checkedMethods().some((method) => !current().scores[method][image]);
  const [low, high] = [number("low"), number("high")];
  if (low === null && high === null) return true;
  const score = scores[image];
  return score !== null && (low === null || score >= low) && (high === null || score <= high);
}

function compared(scores) {
  const apart = scores.map((_, image) => distance(image));
  const sign = measure()?.lower ? 1 : -1;
  // An image without a score is the worst there is.
  const badness = (image) => scores[image] === null ? Infinity : sign * scores[image];
  const difference = (a, b) => a === b ? 0 : a - b;
  return {
    worst: (a, b) => difference(badness(b), badness(a)),
    best: (a, b) => difference(badness(a), badness(b)),
    apart: (a, b) => apart[b] - apart[a],
    name: (a, b) => a - b,
    lowest: byAttribute(1),
    highest: byAttribute(-1),
  }[byId("order").value];
}

// ---- the gallery

const address = (image) =>
  `#/${encodeURIComponent(current().name)}/${encodeURIComponent(current().names[image])}`;

function about(image) {
  if (!current().pictures[image].includes("truth")) return "";
  const size = current().sizes[image].join("×");
  if (!("size" in current().attributes)) return size;
  const share = valueOf(image, "size");
  return `${size}, ${share === null ? "no object" : `object ${(100 * share).toFixed(1)} %`}`;
}

function card(position) {
  const image = shown[position];
  const link = element("a", {href: address(image), textContent: current().names[image]});
  const score = scoreOf(image);
  const label = `${measure()?.name ?? "score"} ${score === null ? "–" : score.toFixed(4)}`;
  const node = element("article", {className: "card", tabIndex: -1},
    element("header", {}, link, element("span", {textContent: label}),
            element("span", {textContent: about(image)}),
            element("span", {textContent: attributeText(image)})));
  node.dataset.position = position;
  if (position < AT_ONCE) fillCard(node);
  else soonSeen.observe(node);
  return node;
}

// Pictures are made for the cards that come near the window: there may be thousands.
const soonSeen = new IntersectionObserver((entries) => {
  for (const entry of entries) if (entry.isIntersecting) fillCard(entry.target);
}, {rootMargin: "1200px"});

function fillCard(node) {
  soonSeen.unobserve(node);
  if (node.classList.contains("filled")) return;
  node.classList.add("filled");
  node.append(tiles(shown[Number(node.dataset.position)], checkedMethods()));
}

function showMore() {
  const end = Math.min(made + CARDS, shown.length);
  const fragment = document.createDocumentFragment();
  for (; made < end; made++) fragment.append(card(made));
  byId("cards").append(fragment);
  byId("more").hidden = made === shown.length;
}

function showErrors() {
  for (const part of ["overview", "single"])
    byId(part).classList.toggle("without-errors", !byId("errors").checked);
}

function sayCount() {
  byId("status").textContent =
    `${shown.length} of ${current().names.length} images of ${current().name}${lackingText()}`;
}

function refresh() {
  const all = current().names.map((_, image) => image);
  const scores = all.map(scoreOf);
  const passing = all.filter((image) => passes(image, scores));
  lacking = passing.filter((image) => valueOf(image) === null).length;
  shown = passing.filter(inRange).sort(compared(scores));
  [made, chosen] = [0, -1];
  soonSeen.disconnect();
  byId("cards").replaceChildren();
  byId("cards").style.setProperty("--columns", checkedMethods().length + 1);
  sayCount();
  showErrors();
  showMore();
}

function choose(position) {
  if (!shown.length) return;
  chosen = Math.max(0, Math.min(position, shown.length - 1));
  while (made <= chosen) showMore();
  document.querySelector(".card.selected")?.classList.remove("selected");
  const node = byId("cards").children[chosen];
  node.classList.add("selected");
  fillCard(node);
  node.focus({preventScroll: true});
  node.scrollIntoView({block: "center"});
}

function fill(select, entries) {
  const before = select.selectedOptions[0]?.textContent;
  select.replaceChildren(...entries.map(([value, text]) =>
    element("option", {value, textContent: text, selected: text === before})));
}

// The controls that depend on the data set.
function changeSet() {
  const set = current();
  fill(byId("measure"), set.measures.map(({name, lower}, i) => [i, `${name} ${lower ? "↓" : "↑"}`]));
  fill(byId("of"), [["mean", "all shown (mean)"], ...set.methods.map((name, i) => [i, name])]);
  byId("methods").replaceChildren(byId("methods").firstElementChild,
    ...set.methods.map((name, i) => element("label", {className: "check"},
      element("input", {type: "checkbox", value: i, checked: true}), ` ${name}`)));
  for (const figures of document.querySelectorAll(".figures"))
    figures.hidden = figures.dataset.set !== byId("set").value;
  fillAttributes();
  refresh();
}

// ---- the page of an image

function scoreTable(image) {
  const set = current();
  const head = element("tr", {}, element("th", {className: "text", textContent: "method"}),
    ...set.measures.map(({name, lower}) =>
      element("th", {textContent: `${name} ${lower ? "↓" : "↑"}`})));
  const best = set.measures.map(({lower}, column) => {
    const values = set.scores.map((rows) => rows[image]?.[column]).filter((v) => v != null);
    return lower ? Math.min(...values) : Math.max(...values);
  });
  const rows = set.methods.map((name, method) => {
    const cells = set.measures.map((_, column) => {
      const value = set.scores[method][image]?.[column];
      return element("td", {textContent: value == null ? "–" : value.toFixed(4),
                            className: set.methods.length > 1 && value === best[column] ? "best" : ""});
    });
    return element("tr", {}, element("th", {className: "text", scope: "row",
                                            textContent: name}), ...cells);
  });
  return element("div", {className: "scroll"}, element("table", {},
    element("thead", {}, head), element("tbody", {}, ...rows)));
}

function move(text, position) {
  const button = element("button", {type: "button", textContent: text,
                                    disabled: position < 0 || position >= shown.length});
  button.addEventListener("click", () => open(position));
  return button;
}

const open = (position) => {
  if (position >= 0 && position < shown.length) location.hash = address(shown[position]);
};
const opened = () => !byId("single").hidden;
const back = () => { location.hash = "#gallery"; };

function showSingle(image) {
  if (!opened()) scrolled = scrollY;
  const position = shown.indexOf(image);
  chosen = position;
  const close = element("button", {type: "button", textContent: "Back to the gallery"});
  close.addEventListener("click", back);
  const place = position < 0 ? "not among the images shown"
    : `${position + 1} of ${shown.length}, ${byId("order").selectedOptions[0].textContent}`;
  const title = element("h1", {textContent: current().names[image], tabIndex: -1});
  byId("single").replaceChildren(
    element("div", {className: "moves"}, close,
            move("← before", position < 0 ? -1 : position - 1),
            move("next →", position < 0 ? -1 : position + 1),
            element("span", {className: "note", textContent: place})),
    title, element("p", {className: "note",
                         textContent: `${current().name}, ${about(image)}`}),
    tiles(image, current().methods.map((_, method) => method)), element("h2",
      {textContent: "Scores of this image"}), scoreTable(image), ...attributeTable(image),
    ...sheets(image));
  byId("overview").hidden = true;
  byId("single").hidden = false;
  title.focus({preventScroll: true});
  scrollTo(0, 0);
}

function leaveSingle() {
  if (!opened()) return;
  byId("single").hidden = true;
  byId("overview").hidden = false;
  const part = byId(location.hash.slice(1));
  if (part && part.id !== "gallery") part.scrollIntoView();
  else if (chosen >= 0) choose(chosen);
  else scrollTo(0, scrolled);
}

function decoded(text) {
  try { return decodeURIComponent(text); } catch { return text; }  // not made here
}

function follow() {
  const parts = location.hash.split("/");
  sayCount();
  if (parts[0] !== "#" || parts.length !== 3) return leaveSingle();
  const [set, name] = parts.slice(1).map(decoded);
  const number = report.sets.findIndex((entry) => entry.name === set);
  const image = report.sets[number]?.names.indexOf(name) ?? -1;
  if (image < 0) {
    leaveSingle();
    byId("status").textContent = `There is no image ${name} of ${set} in this report.`;
    return;
  }
  if (number !== setNumber()) {
    byId("set").value = number;
    changeSet();
  }
  showSingle(image);
}

// ---- keys

function onKey(event) {
  if (event.ctrlKey || event.altKey || event.metaKey || byId("keys").open) return;
  const field = event.target.closest("input, select, textarea");
  if (event.key === "Escape") {
    if (field) field.blur();
    else if (opened()) back();
    return;
  }
  if (field && field.type !== "checkbox") return;
  const step = {j: 1, ArrowRight: 1, k: -1, ArrowLeft: -1}[event.key];
  if (step && event.target.closest(".scroll") && event.key.startsWith("Arrow")) return;
  if (step) {
    if (opened()) open(chosen + step);
    else choose(chosen + step);
  } else if (event.key === "Enter" && event.target.closest(".card") === event.target) {
    open(chosen);
  } else if (event.key === "/") {
    if (opened()) back();
    setTimeout(() => byId("search").focus());  // after the gallery is back
  } else if (event.key === "e") {
    byId("errors").click();
  } else if (event.key === "?") {
    byId("keys").showModal();
  } else {
    return;
  }
  event.preventDefault();
}

function start() {
  byId("set").addEventListener("change", () => {
    changeSet();
    if (opened()) back();
  });
  byId("filters").addEventListener("input", (event) => {
    if (event.target.id === "errors") return showErrors();
    if (event.target.id === "attribute") changeAttribute();
    refresh();
  });
  byId("filters").addEventListener("submit", (event) => event.preventDefault());
  byId("cards").addEventListener("click", (event) => {
    const node = event.target.closest(".card");
    if (node && event.target.closest("img, .error")) open(Number(node.dataset.position));
  });
  byId("more").addEventListener("click", showMore);
  const end = new IntersectionObserver((entries) => {
    if (!entries.some((entry) => entry.isIntersecting) || opened()) return;
    showMore();
    end.unobserve(byId("more"));  // so that it reports again, should the end still be near
    end.observe(byId("more"));
  }, {rootMargin: "800px"});
  end.observe(byId("more"));
  byId("show-keys").addEventListener("click", () => byId("keys").showModal());
  addEventListener("keydown", onKey);
  addEventListener("hashchange", follow);
  changeSet();
  follow();
  document.body.dataset.ready = "yes";
}

// The pictures stand below this script.
addEventListener("DOMContentLoaded", start);
