// What images are, beside their scores: an order, a filter, and a table on an image's own page. In
// one function with page.js.

const ATTRIBUTE_ORDERS = ["lowest", "highest"];

const attribute = () => report.attributes.find(({name}) => name === byId("attribute").value);

// Null of an image that does not have it, and where the set has no attributes.
function valueOf(image, name = byId("attribute").value) {
  return current().attributes[name]?.[image] ?? null;
}

function known(name) {
  return current().attributes[name].filter((value) => value !== null);
}

const rangeGiven = () => number("least") !== null || number("most") !== null;

function inRange(image) {
  if (!rangeGiven()) return true;
  const [value, least, most] = [valueOf(image), number("least"), number("most")];
  return value !== null && (least === null || value >= least) && (most === null || value <= most);
}

// Images without the attribute come last, whichever way it is sorted.
function byAttribute(sign) {
  const values = current().attributes[byId("attribute").value] ?? [];
  return (a, b) => {
    const [first, second] = [values[a] ?? null, values[b] ?? null];
    if (first === null || second === null) return (first === null) - (second === null);
    return sign * (first - second);
  };
}

function lackingText() {
  const ordered = ATTRIBUTE_ORDERS.includes(byId("order").value);
  if (!lacking || !attribute() || !(rangeGiven() || ordered)) return "";
  return `; ${rangeGiven() ? "left out" : "last"}: ${lacking} without "${attribute().label}"`;
}

function valueText({flag}, value) {
  if (value === null) return "–";
  return flag ? (value ? "yes" : "no") : String(value);
}

// For a card; the object's size stands on all of them.
function attributeText(image) {
  const own = attribute();
  return !own || own.name === "size" ? "" : `${own.label} ${valueText(own, valueOf(image))}`;
}

// The attributes that the data set has; the one that was chosen stays.
function fillAttributes() {
  const before = attribute()?.name;
  const own = report.attributes.filter(({name}) => name in current().attributes);
  fill(byId("attribute"), own.map(({name, label}) => [name, label]));
  byId("attributes").hidden = !own.length;
  for (const option of byId("order").options)
    if (ATTRIBUTE_ORDERS.includes(option.value)) option.hidden = option.disabled = !own.length;
  if (!own.length && ATTRIBUTE_ORDERS.includes(byId("order").value)) byId("order").value = "worst";
  changeAttribute(attribute()?.name === before);
}

// A range of one attribute says nothing of another.
function changeAttribute(keepsRange = false) {
  const own = attribute();
  const values = own ? known(own.name) : [];
  for (const [id, end] of [["least", Math.min(...values)], ["most", Math.max(...values)]]) {
    if (!keepsRange) byId(id).value = "";
    byId(id).placeholder = own ? String(end) : "";
  }
  byId("unit").textContent = own?.flag ? "1 yes, 0 no" : own?.unit ?? "";
  for (const order of ATTRIBUTE_ORDERS)
    byId("order").querySelector(`[value=${order}]`).textContent =
      `${own?.label ?? "attribute"}: ${order} first`;
}

// A heading and a table; nothing where the set has no attributes.
function attributeTable(image) {
  const rows = report.attributes.filter(({name}) => name in current().attributes).map((own) => {
    const value = valueOf(image, own.name);
    const values = known(own.name);
    const below = 100 * values.filter((less) => less < value).length / values.length;
    return element("tr", {},
      element("th", {className: "text", scope: "row", textContent: own.label}),
      element("td", {textContent: valueText(own, value)}),
      element("td", {className: "text", textContent: own.unit}),
      element("td", {textContent: value === null ? "–" : `${below.toFixed(0)} % of images`}),
      element("td", {className: "text", textContent: own.sentence}));
  });
  if (!rows.length) return [];
  const head = element("tr", {},
    ...[["attribute", "text"], ["value", ""], ["unit", "text"], ["more than", ""],
        ["what it says", "text"]].map(([textContent, className]) =>
      element("th", {scope: "col", className, textContent})));
  const heading = element("h2", {id: "attributes-title", textContent: "Attributes of this image"});
  const table = element("div", {className: "scroll", tabIndex: 0}, element("table", {},
    element("thead", {}, head), element("tbody", {}, ...rows)));
  table.setAttribute("role", "region");
  table.setAttribute("aria-labelledby", heading.id);
  return [heading, table];
}
