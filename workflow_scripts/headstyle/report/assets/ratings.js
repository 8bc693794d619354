// Shows pairs of turning heads, asks which one is consistent, and gives the answers as CSV.
"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const find = (id) => document.getElementById(id);
const answers = new Map();
// Each rater has an order and sides of their own, so that neither can lean the answers.
const shuffled = (items) => {
  const order = [...items];
  for (let i = order.length - 1; i > 0; i--) {
    const j = Math.floor(Math.random() * (i + 1));
    [order[i], order[j]] = [order[j], order[i]];
  }
  return order;
};
const order = shuffled(data.items).map((item) => ({ ...item, swapped: Math.random() < 0.5 }));
const words = { 0: "another head in every view", [data.scale[1]]: "one head in all views" };
let rater = "";
let at = 0;
let frame = 0;
let step = 1;
let began = 0;
let timer = null;

function scale(side) {
  const box = find(`scale-${side}`);
  const legend = document.createElement("legend");
  legend.textContent = "Consistency";
  const choices = [];
  for (let value = data.scale[0]; value <= data.scale[1]; value++) {
    const label = document.createElement("label");
    const input = document.createElement("input");
    Object.assign(input, { type: "radio", name: `rating-${side}`, value });
    input.addEventListener("change", update);
    label.append(input, ` ${value}${words[value] ? ` ${words[value]}` : ""}`);
    choices.push(label);
  }
  box.replaceChildren(legend, ...choices);
}

const chosen = (name) => document.querySelector(`input[name="${name}"]:checked`)?.value ?? "";
const clip = (side) => {
  const item = order[at];
  return data.clips[item.clips[item.swapped ? 1 - side : side]];
};

function draw() {
  for (const side of [0, 1]) {
    const pictures = clip(side);
    find(`picture-${side}`).src = pictures[Math.min(frame, pictures.length - 1)];
  }
}

function swing() {
  const last = Math.max(clip(0).length, clip(1).length) - 1;
  if (frame + step < 0 || frame + step > last) step = -step;
  frame = Math.min(last, Math.max(0, frame + step));
  draw();
}

function toggle(on) {
  clearInterval(timer);
  timer = on ? setInterval(swing, 220) : null;
  find("play").setAttribute("aria-pressed", String(on));
  find("play").textContent = on ? "Pause" : "Play";
}

function show() {
  find("task").hidden = at >= order.length;
  find("end").hidden = at < order.length;
  find("download").hidden = answers.size === 0;
  if (at >= order.length) {
    toggle(false);
    return;
  }
  frame = 0;
  began = performance.now();
  find("place").value = `${at + 1} of ${order.length}:`;
  find("text").textContent = order[at].text;
  const given = answers.get(order[at].item);
  for (const input of document.querySelectorAll("#task input[type=radio]")) {
    input.checked = Boolean(given) && given.shown[input.name] === input.value;
  }
  update();
  draw();
}

function update() {
  const whole = ["choice", "rating-0", "rating-1"].every((name) => chosen(name) !== "");
  find("next").disabled = !whole;
  find("back").disabled = at === 0;
}

function keep() {
  const { item, swapped } = order[at];
  const shown = {};
  for (const name of ["choice", "rating-0", "rating-1"]) shown[name] = chosen(name);
  const other = { left: "right", right: "left", equal: "equal" };
  const seconds = (performance.now() - began) / 1000 + (answers.get(item)?.seconds ?? 0);
  answers.set(item, {
    shown,
    seconds,
    choice: swapped ? other[shown.choice] : shown.choice,
    ratings: swapped ? [shown["rating-1"], shown["rating-0"]] : [shown["rating-0"], shown["rating-1"]],
  });
}

// A spreadsheet would run a cell that begins like a formula.
function cell(value) {
  const text = String(value);
  const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

function table() {
  const lines = [["rater", "item", "choice", "left", "right", "seconds"]];
  for (const [item, { choice, ratings, seconds }] of answers) {
    lines.push([rater, item, choice, ...ratings, seconds.toFixed(1)]);
  }
  return lines.map((line) => line.map(cell).join(",") + "\n").join("");
}

find("start").addEventListener("submit", (event) => {
  event.preventDefault();
  rater = find("rater").value.trim();
  if (!rater) return;
  find("start").hidden = true;
  show();
  toggle(true);
});
find("next").addEventListener("click", () => { keep(); at += 1; show(); });
find("back").addEventListener("click", () => { at -= 1; show(); });
find("play").addEventListener("click", () => toggle(!timer));
find("download").addEventListener("click", () => {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([table()], { type: "text/csv" }));
  link.download = `ratings_${rater.replace(/[^A-Za-z0-9-]+/g, "_")}.csv`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
});
for (const input of document.querySelectorAll("#choice input")) input.addEventListener("change", update);
[0, 1].forEach(scale);
