// What the parts of the explorer share: the page's state and its link, colors, numbers, elements.
const find = (id) => document.getElementById(id);
const summary = JSON.parse(find("summary").textContent);
const parsed = new Promise((done) => {
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", done);
  else done();
});
const contents = new Map();
const { words } = summary;

// Large contents lie behind the scripts, so that the page paints before they are read.
async function content(id) {
  await parsed;
  if (!contents.has(id)) contents.set(id, JSON.parse(find(id).textContent));
  return contents.get(id);
}

const avatars = summary.subjects.flatMap((subject, s) =>
  subject.avatars.map((avatar, a) => ({
    ...avatar, subject, s, shared: `subject-${s}`, content: `avatar-${s}-${a}`,
    id: `${subject.name}/${avatar.name}`,
  })));

// The state that a link holds. An empty value is the default.
const state = {
  metric: "", value: "", strength: "", sort: "", search: "", avatar: "", target: "", source: "",
  view: "", left: "", right: "", scene: "", camera: "", inconsistency: "", zoom: "",
};
const listeners = [];

function whenChanged(keys, act) {
  listeners.push({ keys, act });
}

function change(changes) {
  const changed = Object.keys(changes).filter((key) => state[key] !== changes[key]);
  if (!changed.length) return;
  Object.assign(state, changes);
  const kept = Object.entries(state).filter(([, value]) => value);
  try {
    history.replaceState(null, "", `#${new URLSearchParams(kept)}`);
  } catch { /* Inside a report a page may have no address of its own. */ }
  for (const { keys, act } of listeners) {
    if (keys.some((key) => changed.includes(key))) act();
  }
}

function changeToLink() {
  const given = new URLSearchParams(location.hash.slice(1));
  change(Object.fromEntries(Object.keys(state).map((key) => [key, given.get(key) || ""])));
}

const metricIndex = () => Math.max(0, summary.metrics.findIndex((m) => m.key === state.metric));
const metric = () => summary.metrics[metricIndex()];
const avatarNow = () => avatars.find((avatar) => avatar.id === state.avatar) || avatars[0];
const label = (avatar) => [avatar.prompt, avatar.strength].filter(Boolean).join(" ");
// A scene of another method is known by its name alone.
const fullName = (avatar) => (avatar.subject.avatars.length > 1 || avatar.strength
  ? `${avatar.subject.name} ${label(avatar)}` : avatar.subject.name);
const rigNow = () => avatarNow().subject.rig;

function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in element) element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

// Cividis: its lightness alone tells the order, so people with any color vision read it alike.
const STOPS = [[0, 34, 78], [0, 46, 106], [26, 56, 111], [50, 67, 109], [67, 78, 108], [83, 90, 109],
  [97, 101, 111], [111, 112, 115], [125, 124, 120], [140, 136, 120], [155, 148, 118], [171, 160, 114],
  [188, 174, 108], [205, 187, 99], [222, 201, 88], [240, 216, 70], [254, 232, 56]];

function color(share) {
  const place = Math.min(1, Math.max(0, share)) * (STOPS.length - 1);
  const i = Math.min(STOPS.length - 2, Math.floor(place));
  return STOPS[i].map((low, k) => Math.round(low + (place - i) * (STOPS[i + 1][k] - low)));
}

const css = (rgb) => `rgb(${rgb.join(" ")})`;
const inkOn = (rgb) => (0.3 * rgb[0] + 0.59 * rgb[1] + 0.11 * rgb[2] > 125 ? "#000" : "#fff");

// From a value to its color: bright is more consistent, whichever way the metric points.
function goodness(values, higher) {
  const known = values.filter((value) => value !== null && value !== undefined);
  const low = Math.min(...known);
  const high = Math.max(...known);
  const share = (value) => (high > low ? (value - low) / (high - low) : 0.5);
  return {
    low, high, any: known.length > 0,
    share: (value) => (higher ? share(value) : 1 - share(value)),
  };
}

function show(value, digits = 3) {
  if (value === null || value === undefined) return "–";
  if (value === 0) return "0";
  const decimals = digits - 1 - Math.floor(Math.log10(Math.abs(value)));
  return value.toFixed(Math.min(6, Math.max(0, decimals))).replace("-", "−");
}

function drawScale(place, low, high, words = ["", ""]) {
  const strip = make("canvas", { width: 128, height: 1 });
  const pen = strip.getContext("2d");
  for (let x = 0; x < 128; x++) {
    pen.fillStyle = css(color(x / 127));
    pen.fillRect(x, 0, 1, 1);
  }
  place.replaceChildren(
    make("span", { textContent: `${words[0]} ${low}`.trim() }), strip,
    make("span", { textContent: `${high} ${words[1]}`.trim() }));
}

function drawMetricScale(place, scale) {
  const [worse, better] = metric().higher ? [scale.low, scale.high] : [scale.high, scale.low];
  drawScale(place, show(worse), show(better), ["less consistent", "more consistent"]);
}

function picture(data, alt) {
  return make("img", { src: `data:image/webp;base64,${data}`, alt, draggable: false });
}

// The pixels of an embedded picture.
async function pixels(data) {
  const image = picture(data, "");
  await image.decode();
  const canvas = make("canvas", { width: image.naturalWidth, height: image.naturalHeight });
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  pen.drawImage(image, 0, 0);
  return pen.getImageData(0, 0, canvas.width, canvas.height);
}

function fillChoices(select, choices, chosen) {
  select.replaceChildren(...choices.map(([value, text]) => make("option", { value, textContent: text })));
  select.value = chosen;
}

// Follows pointers: `drag(dx, dy)` while one is down, `pinch(factor, x, y)` around the middle of two
// fingers, `tap(event)` for a click.
function followPointer(element, drag, pinch, tap) {
  const down = new Map();
  let moved = 0;
  const place = (event) => [event.clientX, event.clientY];
  const between = () => {
    const [a, b] = down.values();
    return { gap: Math.max(1, Math.hypot(...sub(a, b))), middle: scaled(plus(a, b), 0.5) };
  };
  element.addEventListener("pointerdown", (event) => {
    moved = down.size ? Infinity : 0;
    down.set(event.pointerId, place(event));
    element.setPointerCapture(event.pointerId);
  });
  element.addEventListener("pointermove", (event) => {
    const from = down.get(event.pointerId);
    if (!from) return;
    const before = down.size === 2 ? between() : null;
    down.set(event.pointerId, place(event));
    const [dx, dy] = sub(place(event), from);
    moved += Math.abs(dx) + Math.abs(dy);
    if (down.size === 1) drag(dx, dy);
    else if (before) pinch(between().gap / before.gap, ...between().middle);
  });
  element.addEventListener("pointerup", (event) => {
    if (down.delete(event.pointerId) && !down.size && moved < 5 && tap) tap(event);
  });
  element.addEventListener("pointercancel", (event) => down.delete(event.pointerId));
  // One finger may scroll the page where the style allows it; two never do.
  element.addEventListener("touchmove", (event) => {
    if (event.touches.length > 1 && event.cancelable) event.preventDefault();
  }, { passive: false });
}

const sub = (a, b) => a.map((value, i) => value - b[i]);
const dot = (a, b) => a.reduce((sum, value, i) => sum + value * b[i], 0);
const scaled = (a, factor) => a.map((value) => value * factor);
const plus = (a, b) => a.map((value, i) => value + b[i]);
const cross = (a, b) => [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
const unit = (a) => scaled(a, 1 / Math.max(1e-12, Math.hypot(...a)));

function cameraCenter(pose) {
  return [0, 1, 2].map((k) => -(pose[0][k] * pose[0][3] + pose[1][k] * pose[1][3] + pose[2][k] * pose[2][3]));
}

// The pose of a camera that looks at the rig's center, turned from the view that represents the rig.
function orbitPose(rig, yaw, pitch, distance) {
  const up = rig.up;
  const start = sub(cameraCenter(rig.poses[rig.shown]), rig.center);
  const front = unit(sub(start, scaled(up, dot(start, up))));
  const side = cross(up, front);
  const level = plus(scaled(front, Math.cos(yaw)), scaled(side, Math.sin(yaw)));
  const away = plus(scaled(level, Math.cos(pitch)), scaled(up, Math.sin(pitch)));
  const eye = plus(rig.center, scaled(away, distance));
  const z = scaled(away, -1);
  const x = unit(cross(z, up));
  const y = cross(z, x);
  return [x, y, z].map((axis) => [...axis, -dot(axis, eye)]);
}

function rigRadius(rig) {
  const lengths = rig.poses.map((pose) => Math.hypot(...sub(cameraCenter(pose), rig.center)));
  return lengths.reduce((sum, length) => sum + length, 0) / lengths.length;
}
