// Walks the views of one subject: the photograph, the baseline, the edits, the avatar and the true edit side by side.
"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const find = (id) => document.getElementById(id);
const [choice, slider, play, view, prompt, panes] =
  ["avatar", "slider", "play", "view", "prompt", "panes"].map(find);
let timer = null;
let step = 1;

function layers() {
  const avatar = data.avatars[choice.value];
  return [...data.layers, ...(avatar ? avatar.layers : []), ...data.references];
}

function build() {
  const avatar = data.avatars[choice.value];
  prompt.textContent = avatar ? `“${avatar.text}”, ${avatar.strength}` : "";
  panes.replaceChildren(...layers().map((layer) => {
    const figure = document.createElement("figure");
    const well = document.createElement("div");
    const caption = document.createElement("figcaption");
    well.className = "well";
    well.style.aspectRatio = data.aspect;
    well.append(document.createElement("img"));
    caption.textContent = layer.name;
    figure.append(well, caption);
    return figure;
  }));
  show();
}

function show() {
  const i = Number(slider.value);
  view.value = data.views[i];
  layers().forEach((layer, k) => {
    const image = panes.children[k].querySelector("img");
    const source = layer.pictures[i];
    image.hidden = !source;
    image.alt = source ? `${layer.name}, ${data.views[i]}` : "";
    if (source) image.src = source;
  });
}

function move(by) {
  const last = data.views.length - 1;
  slider.value = Math.min(last, Math.max(0, Number(slider.value) + by));
  show();
}

function swing() {
  const i = Number(slider.value);
  if (i + step < 0 || i + step >= data.views.length) step = -step;
  move(step);
}

function toggle() {
  timer = timer ? clearInterval(timer) : setInterval(swing, 220);
  play.setAttribute("aria-pressed", String(Boolean(timer)));
  play.textContent = timer ? "Pause" : "Play";
}

slider.max = data.views.length - 1;
slider.addEventListener("input", show);
choice.addEventListener("change", build);
play.addEventListener("click", toggle);
document.addEventListener("keydown", (event) => {
  if (event.target === choice || event.target === slider) return;
  if (event.key === "ArrowRight") move(1);
  if (event.key === "ArrowLeft") move(-1);
});
build();
