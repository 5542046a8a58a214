// Pictures of an image: its tiles, the maps and what is wrong with them. In one function with page.js.

// The address of a picture; "" where there is none. Pictures in the page become blobs when
// they are first looked at.
function url(image, kind) {
  if (!current().pictures[image].includes(kind)) return "";
  const key = `${setNumber()}/${image}`;
  if (report.folder !== null)
    return `${encodeURIComponent(report.folder)}/${key}-${kind}.jpg`;
  if (!urls.has(key)) {
    const block = byId(`pictures-${key}`);
    const content = JSON.parse(block.textContent);
    block.remove();
    urls.set(key, Object.fromEntries(Object.entries(content).map(([name, text]) => {
      const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
      return [name, URL.createObjectURL(new Blob([bytes], {type: "image/jpeg"}))];
    })));
  }
  return urls.get(key)[kind];
}

function picture(image, kind, text) {
  const address = url(image, kind);
  const shape = current().sizes[image].join(" / ");
  if (!address) {
    const why = kind === "image" ? "no image" : kind === "truth" ? "no mask"
      : current().reasons[Number(kind)][image] ?? "not scored";
    const box = element("span", {className: "missing", textContent: why, title: why});
    box.style.aspectRatio = shape;
    return box;
  }
  const node = element("img", {src: address, alt: text, title: text, loading: "lazy",
                               decoding: "async"});
  node.style.aspectRatio = shape;
  return node;
}

function errorMap(image, method) {
  const [map, truth] = [url(image, String(method)), url(image, "truth")];
  if (!map || !truth) return "";
  const layer = (name, address) => {
    const node = element("i", {className: name});
    node.style.backgroundImage = `url("${address}")`;
    return node;
  };
  const box = element("span", {className: "error", role: "img",
                               title: `error map of ${current().methods[method]}`},
                      layer("map", map), layer("truth", truth));
  box.setAttribute("aria-label", box.title);
  box.style.aspectRatio = current().sizes[image].join(" / ");
  return box;
}

// What `report explain` saw in the methods' networks: a heading and a sheet each.
function sheets(image) {
  return current().methods.flatMap((name, method) => {
    const sheet = current().sheets[method][image];
    const src = url(image, `explain${method}`);
    if (!src) return [];
    const heading = element("h2", {id: `sheet-${method}`, textContent: `Inside ${name}`});
    const node = element("img", {
      src, width: sheet.size[0], height: sheet.size[1],
      alt: `sheet of ${name} for ${current().names[image]}: ${sheet.text}`,
      loading: "lazy", decoding: "async"});
    const box = element("div", {className: "scroll sheet", tabIndex: 0}, node);
    box.setAttribute("role", "region");
    box.setAttribute("aria-labelledby", heading.id);
    const caption = element("figcaption", {}, `of the weights ${sheet.weights}`);
    if (sheet.doubt) caption.append("; ", element("b", {textContent: sheet.doubt}));
    return [heading, element("figure", {}, box, caption)];
  });
}

function tiles(image, methods) {
  const name = current().names[image];
  const source = element("div", {className: "pair"});
  if (current().pictures[image].includes("image"))
    source.append(picture(image, "image", `image ${name}`));
  source.append(picture(image, "truth", `ground truth of ${name}`));
  const list = element("div", {className: "tiles"}, element("figure", {}, source,
    element("figcaption", {textContent: source.children.length > 1 ? "image, ground truth"
                                                                   : "ground truth"})));
  const scores = scoresOf(image, methods);
  methods.forEach((method, i) => {
    const title = current().methods[method];
    const pair = element("div", {className: "pair"},
                         picture(image, String(method), `map of ${title} for ${name}`),
                         errorMap(image, method));
    const score = scores[i] === null ? "" : ` ${scores[i].toFixed(3)}`;
    list.append(element("figure", {}, pair, element("figcaption", {}, title,
                                                    element("b", {textContent: score}))));
  });
  return list;
}
