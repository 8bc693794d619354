// All layers of one view side by side: photograph, baseline, edits, avatar, true edit.
const views = { layers: [], zoom: 1, x: 0.5, y: 0.5, timer: null, step: 1, split: 50 };

function viewNow() {
  const { names, shown } = rigNow();
  const index = names.indexOf(state.view);
  return index >= 0 ? index : shown;
}

async function loadViews() {
  const avatar = avatarNow();
  const [shared, own] = await Promise.all([content(avatar.shared), content(avatar.content)]);
  if (avatar !== avatarNow()) return;
  const truth = shared.truth[avatar.prompt];
  views.layers = [...shared.layers, ...own.layers, ...(truth ? [truth] : [])];
  const choices = views.layers.map((layer) => [layer.name, layer.name]);
  const known = (name, otherwise) => (views.layers.some((layer) => layer.name === name) ? name : otherwise);
  fillChoices(find("left"), choices, known(state.left, known(words.before, words.edited)));
  fillChoices(find("right"), choices, known(state.right, words.edited));
  for (const id of ["left-label", "right-label", "swipe-note"]) find(id).hidden = choices.length < 2;
  find("slider").max = rigNow().names.length - 1;
  buildPanes();
}

function pane(caption, ...images) {
  const well = make("div", { className: "well" }, ...images);
  const [width, height] = rigNow().sizes[rigNow().shown];
  well.style.aspectRatio = `${width} / ${height}`;
  followPointer(well, (dx, dy) => movePanes(dx / well.clientWidth, dy / well.clientHeight),
    (factor, x, y) => zoomPanes(factor, x, y, well));
  well.addEventListener("wheel", (event) => {
    event.preventDefault();
    zoomPanes(Math.exp(-0.002 * event.deltaY), event.clientX, event.clientY, well);
  }, { passive: false });
  return make("figure", {}, well, make("figcaption", { textContent: caption }));
}

function buildPanes() {
  const handle = make("span", { className: "handle", role: "slider", tabIndex: 0 });
  handle.setAttribute("aria-label", "Line between the two compared layers");
  handle.setAttribute("aria-valuemin", "0");
  handle.setAttribute("aria-valuemax", "100");
  const both = pane("", make("img", { draggable: false }),
    make("div", { className: "over" }, make("img", { draggable: false })), handle);
  both.className = "swipe";
  both.hidden = views.layers.length < 2;
  handle.addEventListener("pointerdown", (event) => {
    event.stopPropagation();
    handle.setPointerCapture(event.pointerId);
  });
  handle.addEventListener("pointermove", (event) => {
    if (!handle.hasPointerCapture(event.pointerId)) return;
    const box = handle.parentElement.getBoundingClientRect();
    splitAt((100 * (event.clientX - box.left)) / box.width);
  });
  handle.addEventListener("keydown", (event) => {
    const by = { ArrowLeft: -4, ArrowRight: 4 }[event.key];
    if (!by) return;
    splitAt(views.split + by);
    event.stopPropagation();
    event.preventDefault();
  });
  find("panes").replaceChildren(both, ...views.layers.map((layer) => pane(layer.name, make("img", { draggable: false }))));
  splitAt(views.split);
  drawViews();
}

function splitAt(percent) {
  views.split = Math.min(100, Math.max(0, percent));
  const handle = document.querySelector(".handle");
  handle.style.left = `${views.split}%`;
  handle.setAttribute("aria-valuenow", String(Math.round(views.split)));
  document.querySelector(".swipe .over").style.clipPath = `inset(0 0 0 ${views.split}%)`;
}

function drawViews() {
  const now = viewNow();
  const { names, walk } = rigNow();
  if (!views.layers.length) return;
  find("slider").value = walk.indexOf(now);
  find("view-name").value = names[now];
  const [both, ...rest] = find("panes").children;
  const chosen = ["left", "right"].map((side) => views.layers.find((layer) => layer.name === find(side).value));
  [...both.querySelectorAll("img")].forEach((image, k) => place(image, chosen[k], now));
  both.querySelector("figcaption").textContent = `${chosen[0].name} | ${chosen[1].name}`;
  rest.forEach((figure, k) => place(figure.querySelector("img"), views.layers[k], now));
  transformPanes();
}

function place(image, layer, view) {
  const data = layer.pictures[view];
  image.hidden = !data;
  image.alt = data ? `${layer.name}, view ${rigNow().names[view]}` : "";
  if (data) image.src = `data:image/webp;base64,${data}`;
}

function transformPanes() {
  find("panes").classList.toggle("zoomed", views.zoom > 1);
  for (const inner of find("panes").querySelectorAll(".well")) {
    inner.style.setProperty("--zoom", views.zoom);
    inner.style.setProperty("--x", `${100 * (0.5 - views.x * views.zoom)}%`);
    inner.style.setProperty("--y", `${100 * (0.5 - views.y * views.zoom)}%`);
    inner.classList.toggle("pixels", views.zoom > 2.5);
  }
}

function zoomTo(zoom, x, y) {
  views.zoom = Math.min(32, Math.max(1, zoom));
  const half = 0.5 / views.zoom;
  views.x = Math.min(1 - half, Math.max(half, x));
  views.y = Math.min(1 - half, Math.max(half, y));
  change({ zoom: views.zoom > 1 ? [views.zoom, views.x, views.y].map((v) => v.toFixed(3)).join(" ") : "" });
  transformPanes();
}

// What lies under a point of the window stays there.
function zoomPanes(factor, left, top, well) {
  const box = well.getBoundingClientRect();
  const [u, v] = [(left - box.left) / box.width - 0.5, (top - box.top) / box.height - 0.5];
  const after = Math.min(32, Math.max(1, views.zoom * factor));
  const closer = 1 / views.zoom - 1 / after;
  zoomTo(after, views.x + u * closer, views.y + v * closer);
}

function movePanes(dx, dy) {
  zoomTo(views.zoom, views.x - dx / views.zoom, views.y - dy / views.zoom);
}

const zoomMiddle = (factor) => zoomTo(views.zoom * factor, views.x, views.y);
const showWhole = () => zoomTo(1, 0.5, 0.5);

function zoomFromLink() {
  const [zoom, x, y] = (state.zoom || "1 0.5 0.5").split(" ").map(Number);
  [views.zoom, views.x, views.y] = [zoom, x, y].map((value, k) => (Number.isFinite(value) ? value : [1, 0.5, 0.5][k]));
  transformPanes();
}

function stepView(by) {
  const { names, walk } = rigNow();
  const here = walk.indexOf(viewNow());
  change({ view: names[walk[Math.min(walk.length - 1, Math.max(0, here + by))]] });
}

function swing() {
  const { walk } = rigNow();
  const here = walk.indexOf(viewNow());
  if (here + views.step < 0 || here + views.step >= walk.length) views.step = -views.step;
  stepView(views.step);
}

function togglePlay() {
  if (views.timer) clearInterval(views.timer);
  views.timer = views.timer ? null : setInterval(swing, 240);
  find("play").setAttribute("aria-pressed", String(Boolean(views.timer)));
  find("play").textContent = views.timer ? "Pause" : "Play";
}

function startViews() {
  find("slider").addEventListener("input", () => {
    const { names, walk } = rigNow();
    change({ view: names[walk[Number(find("slider").value)]] });
  });
  find("play").addEventListener("click", togglePlay);
  find("reset").addEventListener("click", showWhole);
  for (const side of ["left", "right"]) {
    find(side).addEventListener("input", () => change({ [side]: find(side).value }));
  }
  whenChanged(["avatar"], loadViews);
  whenChanged(["left", "right"], () => {
    for (const side of ["left", "right"]) if (state[side]) find(side).value = state[side];
    drawViews();
  });
  whenChanged(["view"], drawViews);
  whenChanged(["zoom"], zoomFromLink);
  zoomFromLink();
  loadViews();
}
