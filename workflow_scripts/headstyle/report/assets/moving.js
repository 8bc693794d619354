// Moves one head through time: the photograph, the baseline and an avatar from one camera, and a metric over time.
"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const find = (id) => document.getElementById(id);
const [motionOf, avatarOf, cameraOf, metricOf, slider, play, place, panes, chart, legend] =
  ["motion", "avatar", "camera", "metric", "slider", "play", "place", "panes", "chart", "legend"].map(find);
const WORDS = { train: "seen in training", val: "held-out camera", test: "held-out timestep" };
const COLORS = ["#0072b2", "#d55e00", "#009e73"];
let timer = null;

const motion = () => data.motions[Number(motionOf.value)];
const avatar = () => data.names[Number(avatarOf.value)];

function layers() {
  const found = motion().avatars[avatar()];
  return [...motion().shared, ...(found ? [found] : [])];
}

function build() {
  const kept = cameraOf.selectedIndex;
  cameraOf.replaceChildren(...motion().cameras.map((number, i) => {
    const option = document.createElement("option");
    option.value = i;
    const splits = motion().splits[i];
    option.textContent = `${number}${splits.includes("val") ? " (held out)" : ""}`;
    return option;
  }));
  cameraOf.selectedIndex = Math.max(0, Math.min(kept, motion().cameras.length - 1));
  slider.max = motion().timesteps - 1;
  panes.replaceChildren(...layers().map((layer) => {
    const figure = document.createElement("figure");
    const well = document.createElement("div");
    const caption = document.createElement("figcaption");
    well.className = "well";
    well.style.aspectRatio = motion().aspect;
    well.append(document.createElement("img"));
    caption.textContent = layer.name;
    figure.append(well, caption);
    return figure;
  }));
  show();
}

function show() {
  const [camera, step] = [Number(cameraOf.value), Number(slider.value)];
  const split = motion().splits[camera][step];
  place.value = `timestep ${step}: ${WORDS[split] || "no frame"}`;
  place.className = split === "train" ? "" : "held";
  layers().forEach((layer, k) => {
    const image = panes.children[k].querySelector("img");
    const source = layer.pictures[camera][step];
    image.hidden = !source;
    image.alt = source ? `${layer.name}, camera ${motion().cameras[camera]}, timestep ${step}` : "";
    if (source) image.src = source;
  });
  draw();
}

function element(name, attributes) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  Object.entries(attributes).forEach(([key, value]) => made.setAttribute(key, value));
  return made;
}

// The chosen metric at each timestep, of the photographs, the baseline and the avatar.
function draw() {
  const metric = data.metrics[Number(metricOf.value)];
  const names = ["photographs", "baseline", avatar()].filter((name) => metric && data.series[name]);
  const lines = names.map((name) => data.series[name][metric.name]);
  const known = lines.flat().filter((value) => value !== null);
  chart.parentElement.hidden = !known.length;
  if (!known.length) return;
  const [low, high] = [Math.min(0, ...known), Math.max(...known, 1e-6)];
  const last = Math.max(1, lines[0].length - 1);
  const x = (step) => 56 + 564 * step / last;
  const y = (value) => 170 - 150 * (value - low) / (high - low);
  const text = (left, top, words, anchor) => {
    const made = element("text", { x: left, y: top, "text-anchor": anchor });
    made.textContent = words;
    return made;
  };
  const parts = [low, high].map((value) => text(48, y(value) + 4, value.toPrecision(2), "end"));
  lines[0].forEach((_, step) => parts.push(text(x(step), 190, step, "middle")));
  lines.forEach((values, k) => {
    const points = values.map((value, step) => [x(step), value]).filter(([, value]) => value !== null);
    parts.push(element("polyline", {
      points: points.map(([left, value]) => `${left},${y(value)}`).join(" "), stroke: COLORS[k],
    }));
  });
  if (motionOf.value === "0") {
    const now = x(Number(slider.value));
    parts.push(element("line", { x1: now, x2: now, y1: 16, y2: 174, class: "now" }));
  }
  chart.replaceChildren(...parts);
  legend.replaceChildren(...names.flatMap((name, k) => {
    const key = document.createElement("span");
    key.className = "key";
    key.style.background = COLORS[k];
    return [key, name];
  }));
}

function move(by) {
  const count = motion().timesteps;
  slider.value = (Number(slider.value) + by + count) % count;
  show();
}

function toggle() {
  timer = timer ? clearInterval(timer) : setInterval(() => move(1), 260);
  play.setAttribute("aria-pressed", String(Boolean(timer)));
  play.textContent = timer ? "Pause" : "Play";
}

motionOf.parentElement.hidden = data.motions.length < 2;
slider.addEventListener("input", show);
cameraOf.addEventListener("change", show);
metricOf.addEventListener("change", draw);
motionOf.addEventListener("change", build);
avatarOf.addEventListener("change", build);
play.addEventListener("click", toggle);
document.addEventListener("keydown", (event) => {
  if (event.target.matches("select, input")) return;
  if (event.key === "ArrowRight") move(1);
  if (event.key === "ArrowLeft") move(-1);
});
build();
