// One pair of views: the pictures, what counts, how the colors differ, and why the score is what it is.
const pairShown = { content: null };

function chosenPair() {
  const { names, edges } = rigNow();
  const [target, source] = [names.indexOf(state.target), names.indexOf(state.source)];
  if (target >= 0 && source >= 0) return { target, source };
  const worst = pairShown.content ? worstPair(pairShown.content) : null;
  return worst || { target: edges[0]?.[0] ?? 0, source: edges[0]?.[1] ?? 0 };
}

function sortedPairs(content) {
  const index = metricIndex();
  const sign = metric().higher ? 1 : -1;
  const key = (pair) => (pair.values[index] === null ? Infinity : sign * pair.values[index]);
  return [...content.pairs].sort((a, b) => key(a) - key(b) || 0);
}

// Of those that have pictures.
const worstPair = (content) => sortedPairs(content).find((pair) => pair.warped);

function openPair(target, source) {
  const { names } = rigNow();
  change({ target: names[target], source: names[source] });
}

async function loadPair() {
  pairShown.content = null;
  const avatar = avatarNow();
  const loaded = await content(avatar.content);
  if (avatar !== avatarNow()) return;
  pairShown.content = loaded;
  listPairs();
  await drawPair();
  drawRig();
}

function listPairs() {
  if (!pairShown.content) return;
  const { names } = rigNow();
  fillChoices(find("pair"), sortedPairs(pairShown.content).map((pair) => [
    `${pair.target} ${pair.source}`,
    `${names[pair.target]} ← ${names[pair.source]}: ${show(pair.values[metricIndex()])}`,
  ]), "");
  const { target, source } = chosenPair();
  find("pair").value = `${target} ${source}`;
}

async function drawPair() {
  if (!pairShown.content) return;
  const loaded = pairShown.content;
  const { target, source } = chosenPair();
  const pair = loaded.pairs.find((p) => p.target === target && p.source === source);
  find("pair").value = `${target} ${source}`;
  if (!pair) {
    find("pair-pictures").replaceChildren(make("p", { className: "empty", textContent: "These two views are not compared." }));
    find("pair-kinds").replaceChildren();
    find("pair-numbers").replaceChildren();
    return;
  }
  const { names } = rigNow();
  const render = loaded.layers.at(-1).pictures[target];
  const [reasons, difference] = pair.warped ? await Promise.all([pixels(pair.reasons), pixels(pair.difference)]) : [];
  if (loaded !== pairShown.content || chosenPair().target !== target || chosenPair().source !== source) return;
  const arrows = pair.arrows && unpackedArrows(pair.arrows);
  const first = framed(withArrows(picture(render, `Target ${names[target]}`), arrows), `target ${names[target]}`, arrowsNote(arrows));
  if (!pair.warped) find("pair-pictures").replaceChildren(first, make("p", { className: "note",
    textContent: "To keep this page small, only one of the two directions has pictures. Swap target and source to see them." }));
  else find("pair-pictures").replaceChildren(first,
    framed(picture(pair.warped, `Source ${names[source]} warped into ${names[target]}`), `${names[source]}, warped`),
    framed(reasonsPicture(reasons, difference), "what counts", reasonsLegend(pair.shares)),
    framed(differencePicture(reasons, difference), "difference, ΔE00", differenceLegend()));
  drawKinds(pair);
  find("pair-numbers").replaceChildren(...summary.metrics.map((m, k) => make("li", { title: m.meaning },
    make("b", { textContent: show(pair.values[k]) }), make("span", { textContent: m.name }))));
}

function framed(image, text, ...below) {
  return make("figure", {}, make("div", { className: "well" }, image), make("figcaption", {}, text, ...below));
}

// Displacements of details are small, so that arrows are drawn so many times as long.
const LONGER = [1, 2, 3, 5, 10, 20, 30];
const LONGEST = 0.1;

// Rows of place and displacement.
function unpackedArrows(text) {
  const numbers = new Int16Array(Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)).buffer);
  return Array.from({ length: numbers.length / 4 }, (_, k) => [...numbers.subarray(4 * k, 4 * k + 4)]);
}

// All but the few longest arrows stay shorter than a part of the frame.
function arrowScale(arrows) {
  const lengths = arrows.map(([, , dx, dy]) => Math.hypot(dx, dy) / 10000).sort((a, b) => a - b);
  const long = lengths[Math.floor(0.95 * (lengths.length - 1))] ?? 0;
  return LONGER.findLast((factor) => factor * long <= LONGEST) ?? 1;
}

// Arrows from where the target shows a detail to where the source shows it.
function withArrows(image, arrows) {
  if (!arrows) return image;
  const canvas = make("canvas", { className: "arrows", role: "img" });
  canvas.setAttribute("aria-label", "Displacements of details");
  const [width, height] = rigNow().sizes[chosenPair().target];
  [canvas.width, canvas.height] = [480, Math.round((480 * height) / width)];
  const pen = canvas.getContext("2d");
  const longer = arrowScale(arrows);
  pen.lineCap = "round";
  // Dark on a light border, so that they stand out from any hair or shirt.
  for (const [ink, thick] of [["#ffffff", 7], ["#101820", 3]]) {
    pen.strokeStyle = ink;
    pen.lineWidth = thick;
    for (const [x, y, dx, dy] of arrows) {
      const from = { x: (canvas.width * x) / 1000, y: (canvas.height * y) / 1000 };
      const step = [(longer * canvas.width * dx) / 10000, (longer * canvas.height * dy) / 10000];
      const to = { x: from.x + step[0], y: from.y + step[1] };
      const length = Math.hypot(...step);
      line(pen, from, to);
      if (length < 5) continue;
      for (const turn of [2.6, -2.6]) {
        const angle = Math.atan2(step[1], step[0]) + turn;
        line(pen, to, { x: to.x + 9 * Math.cos(angle), y: to.y + 9 * Math.sin(angle) });
      }
    }
  }
  return make("div", { className: "stack" }, image, canvas);
}

function arrowsNote(arrows) {
  return make("span", { className: "legend", textContent: arrows
    ? `arrows: where the source shows a detail, ${arrowScale(arrows)} times as long` : "arrows: swap target and source" });
}

// The place in the list of reasons at each pixel.
const reasonAt = (reasons, i) => Math.round(reasons.data[4 * i] / 50);

function canvasOf(image, fill, label) {
  const canvas = make("canvas", { width: image.width, height: image.height, role: "img" });
  canvas.setAttribute("aria-label", label);
  const pen = canvas.getContext("2d");
  const made = pen.createImageData(image.width, image.height);
  for (let i = 0; i < image.width * image.height; i++) made.data.set(fill(i), 4 * i);
  pen.putImageData(made, 0, 0);
  return canvas;
}

function reasonsPicture(reasons) {
  const colors = summary.reasons.map((reason) => [1, 3, 5].map((k) => parseInt(reason.color.slice(k, k + 2), 16)));
  return canvasOf(reasons, (i) => {
    const reason = reasonAt(reasons, i);
    return [...colors[reason], reason ? 255 : 0];
  }, "Which pixels are compared, and why others are not");
}

function differencePicture(reasons, difference) {
  const canvas = canvasOf(reasons, (i) => (reasonAt(reasons, i) === 1
    ? [...color(difference.data[4 * i] / 255), 255] : [0, 0, 0, 0]), "Color difference of the compared pixels");
  canvas.addEventListener("pointermove", (event) => {
    const box = canvas.getBoundingClientRect();
    const x = Math.floor(((event.clientX - box.left) / box.width) * difference.width);
    const y = Math.floor(((event.clientY - box.top) / box.height) * difference.height);
    const i = y * difference.width + x;
    canvas.title = reasonAt(reasons, i) === 1 ? `ΔE ${((10 * difference.data[4 * i]) / 255).toFixed(1)}` : "not compared";
  });
  return canvas;
}

function reasonsLegend(shares) {
  return make("span", { className: "legend" }, ...summary.reasons.slice(1).map((reason, k) => {
    const mark = make("i");
    mark.style.background = reason.color;
    return make("span", { title: reason.meaning }, mark, `${reason.name} ${Math.round(100 * shares[k])} %`);
  }));
}

function differenceLegend() {
  const scale = make("span", { className: "scale" });
  drawScale(scale, "0", "10 and more");
  return scale;
}

// Steps are added as cubes: the kind with the most of them weighs most.
function drawKinds(pair) {
  // Without the views before the edit, its strength is not known.
  const kinds = summary.kinds.filter((kind) => avatarNow().subject.unedited || kind.name !== "strength");
  const steps = kinds.map((kind, k) => (pair.kinds[k] === null ? null : pair.kinds[k] / kind.step));
  const most = Math.max(...steps.map((value) => value ?? 0), 1e-9);
  const rows = kinds.map((kind, k) => {
    const bar = make("span", { className: "bar-fill" });
    bar.style.width = `${(100 * (steps[k] ?? 0)) / most}%`;
    const leads = steps[k] === most;
    return make("tr", { className: leads ? "decides" : "", title: kind.meaning },
      make("th", { scope: "row", textContent: kind.name }),
      make("td", { className: "bar-cell" }, make("span", { className: "bar-track" }, bar)),
      make("td", { className: "n", textContent: steps[k] === null ? "–" : `${steps[k].toFixed(2)} steps` }),
      make("td", { textContent: `${show(pair.kinds[k])} ${kind.unit}` }),
      make("td", { textContent: leads ? "weighs most" : "" }));
  });
  find("pair-kinds").replaceChildren(make("table", { className: "kinds" },
    make("caption", { textContent: `How the two views disagree, by the kinds of the headline score. ${avatarNow().subject.unedited
      ? "What the unedited views disagree in does not count."
      : "All of it counts, as the views before the edit are not known."}` }),
    make("tbody", {}, ...rows)));
}

function startPair() {
  find("pair").addEventListener("input", () => openPair(...find("pair").value.split(" ").map(Number)));
  find("swap").addEventListener("click", swapPair);
  whenChanged(["avatar"], loadPair);
  whenChanged(["metric"], () => { listPairs(); drawPair(); });
  whenChanged(["target", "source"], drawPair);
  loadPair();
}

function swapPair() {
  const { target, source } = chosenPair();
  openPair(source, target);
}
