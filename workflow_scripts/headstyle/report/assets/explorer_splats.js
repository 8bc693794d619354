// Splats that turn: unpacked on first sight, sorted by depth, and drawn as the renderer of the library does.
const splats = { yaw: 0, pitch: 0.1, zoom: 1, scenes: new Map(), gl: null, drawn: 0, detail: 1, isMoving: false, last: 0, rest: null };
// While splats move, pictures are drawn coarser until so many milliseconds suffice for one.
const FRAME_MS = 33;
const DETAILS = [0.35, 0.5, 0.7, 1];
const REST_MS = 160;
const SH0 = 0.28209479177387814;
const TEXELS = 6;
const ROW = 1020;

const VERTEX = `#version 300 es
precision highp float;
precision highp sampler2D;
uniform sampler2D numbers, palette;
uniform vec4 row0, row1, row2, lens;
uniform vec3 eye;
uniform vec2 size;
uniform float inconsistent;
in uint splat;
flat out vec4 paint;
out vec2 offset;
vec4 texel(int k) {
  int i = int(splat) * ${TEXELS} + k;
  return texelFetch(numbers, ivec2(i % ${ROW}, i / ${ROW}), 0);
}
void main() {
  vec2 corner = vec2(gl_VertexID & 1, (gl_VertexID >> 1) & 1) * 2.0 - 1.0;
  vec4 place = texel(0), a = texel(1), b = texel(2);
  vec4 world = vec4(place.xyz, 1.0);
  vec3 p = vec3(dot(row0, world), dot(row1, world), dot(row2, world));
  gl_Position = vec4(2.0, 2.0, 2.0, 1.0);
  if (p.z < 0.01 || place.w < 1.0 / 255.0) return;
  // Far beside the frame the projection is linearized at the border, as in 3D Gaussian splatting.
  vec2 limit = 0.65 * size / lens.xy;
  vec2 t = p.z * clamp(p.xy / p.z, -limit - (lens.zw - 0.5 * size) / lens.xy, limit - (lens.zw - 0.5 * size) / lens.xy);
  mat3 sigma = mat3(a.x, a.y, a.z, a.y, a.w, b.x, a.z, b.x, b.y);
  vec3 along = (lens.x / p.z) * row0.xyz - (lens.x * t.x / (p.z * p.z)) * row2.xyz;
  vec3 down = (lens.y / p.z) * row1.xyz - (lens.y * t.y / (p.z * p.z)) * row2.xyz;
  float xx = dot(along, sigma * along) + 0.3, xy = dot(along, sigma * down), yy = dot(down, sigma * down) + 0.3;
  float determinant = xx * yy - xy * xy;
  if (determinant <= 0.0) return;
  // The quad lies along the splat's axes, so that few of its pixels are in vain. Offsets are in deviations.
  float middle = 0.5 * (xx + yy), half_gap = length(vec2(0.5 * (xx - yy), xy));
  float longest = middle + half_gap, shortest = determinant / longest;
  vec2 axis = half_gap < 1e-6 * middle ? vec2(1.0, 0.0)
    : normalize(xx > yy ? vec2(longest - yy, xy) : vec2(xy, longest - xx));
  float reach = sqrt(2.0 * log(255.0 * place.w));
  offset = corner * reach;
  vec2 pixel = lens.xy * p.xy / p.z + lens.zw
    + offset.x * sqrt(longest) * axis + offset.y * sqrt(shortest) * vec2(-axis.y, axis.x);
  gl_Position = vec4(2.0 * pixel.x / size.x - 1.0, 1.0 - 2.0 * pixel.y / size.y, 0.0, 1.0);
  vec4 c = texel(3), d = texel(4), e = texel(5);
  vec3 v = normalize(place.xyz - eye);
  vec3 shade = ${SH0} * c.rgb + 0.5
    + 0.48860251190292 * (-v.y * vec3(c.a, d.rg) + v.z * vec3(d.ba, e.r) - v.x * e.gba);
  if (inconsistent > 0.0) shade = texture(palette, vec2(b.z / inconsistent, 0.5)).rgb;
  paint = vec4(max(shade, 0.0), place.w);
}`;

const FRAGMENT = `#version 300 es
precision highp float;
flat in vec4 paint;
in vec2 offset;
out vec4 color;
void main() {
  float alpha = min(0.999, paint.a * exp(-0.5 * dot(offset, offset)));
  if (alpha < 1.0 / 255.0) discard;
  color = vec4(paint.rgb * alpha, alpha);
}`;

async function unpacked(packed) {
  if (!packed) return null;
  const bytes = Uint8Array.from(atob(packed.data), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  const content = new Uint8Array(await new Response(stream).arrayBuffer());
  const scene = { count: packed.count, all: packed.all };
  let from = 0;
  for (const part of packed.parts) {
    const length = packed.count * part.columns;
    const isLong = part.steps > 255;
    const low = content.subarray(isLong ? from + length : from);
    const step = (part.high - part.low) / part.steps;
    scene[part.name] = Float32Array.from({ length },
      (_, i) => part.low + step * (low[i] + (isLong ? 256 * content[from + i] : 0)));
    if (part.name === "inconsistency") scene.worst = part.high;
    from += length * (isLong ? 2 : 1);
  }
  return scene;
}

// Six texels a splat: place and opacity, covariance and inconsistency, color and how it depends on the direction.
function texels(scene) {
  const n = scene.count;
  const rows = Math.ceil((n * TEXELS) / ROW);
  const out = new Float32Array(rows * ROW * 4);
  const [m, s, q] = [scene.means, scene.scales, scene.quats];
  for (let i = 0; i < n; i++) {
    const length = Math.hypot(q[i], q[n + i], q[2 * n + i], q[3 * n + i]) || 1;
    const [w, x, y, z] = [q[i], q[n + i], q[2 * n + i], q[3 * n + i]].map((value) => value / length);
    const axes = [
      [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
      [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
      [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)]];
    const square = [0, 1, 2].map((k) => Math.exp(2 * s[k * n + i]));
    const c = (a, b) => axes[a][0] * axes[b][0] * square[0] + axes[a][1] * axes[b][1] * square[1] + axes[a][2] * axes[b][2] * square[2];
    const sh = Array.from({ length: 9 }, (_, k) => (scene.sh1 ? scene.sh1[k * n + i] : 0));
    out.set([m[i], m[n + i], m[2 * n + i], scene.opacities[i], c(0, 0), c(0, 1), c(0, 2), c(1, 1), c(1, 2), c(2, 2),
      scene.inconsistency ? scene.inconsistency[i] : 0, 0, scene.sh0[i], scene.sh0[n + i], scene.sh0[2 * n + i], ...sh], i * TEXELS * 4);
  }
  return { out, rows };
}

function startDrawer() {
  const canvas = find("splats");
  const gl = canvas.getContext("webgl2", { antialias: false, alpha: false, preserveDrawingBuffer: true });
  if (!gl) return null;
  const program = gl.createProgram();
  for (const [kind, source] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
    const shader = gl.createShader(kind);
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
  }
  gl.bindAttribLocation(program, 0, "splat");
  gl.linkProgram(program);
  if (!gl.getProgramParameter(program, gl.LINK_STATUS)) return null;
  gl.useProgram(program);
  gl.enableVertexAttribArray(0);
  gl.enable(gl.BLEND);
  gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
  const palette = new Uint8Array(256 * 4);
  for (let i = 0; i < 256; i++) palette.set([...color(i / 255), 255], 4 * i);
  gl.activeTexture(gl.TEXTURE1);
  gl.bindTexture(gl.TEXTURE_2D, gl.createTexture());
  gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, 256, 1, 0, gl.RGBA, gl.UNSIGNED_BYTE, palette);
  gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.LINEAR);
  gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_WRAP_S, gl.CLAMP_TO_EDGE);
  const names = ["numbers", "palette", "row0", "row1", "row2", "lens", "eye", "size", "inconsistent"];
  const uniforms = Object.fromEntries(names.map((name) => [name, gl.getUniformLocation(program, name)]));
  gl.uniform1i(uniforms.numbers, 0);
  gl.uniform1i(uniforms.palette, 1);
  return { gl, uniforms };
}

function upload(scene) {
  const { gl } = splats.gl;
  const { out, rows } = texels(scene);
  scene.texture = gl.createTexture();
  gl.activeTexture(gl.TEXTURE0);
  gl.bindTexture(gl.TEXTURE_2D, scene.texture);
  gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA32F, ROW, rows, 0, gl.RGBA, gl.FLOAT, out);
  gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.NEAREST);
  gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MAG_FILTER, gl.NEAREST);
  scene.order = gl.createBuffer();
  // Two triangles a splat in one long list: software GL draws each instance of a quad by itself,
  // which takes several times as long.
  const corners = new Uint32Array(6 * scene.count);
  for (let i = 0; i < scene.count; i++) corners.set([0, 1, 2, 2, 1, 3].map((corner) => 4 * i + corner), 6 * i);
  scene.corners = gl.createBuffer();
  gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, scene.corners);
  gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, corners, gl.STATIC_DRAW);
}

// Far splats first, by a counting sort of their depth; each once per corner.
function sortByDepth(scene, axis) {
  const [n, m] = [scene.count, scene.means];
  scene.depth ||= new Float32Array(n);
  const { depth } = scene;
  let [low, high] = [Infinity, -Infinity];
  for (let i = 0; i < n; i++) {
    depth[i] = axis[0] * m[i] + axis[1] * m[n + i] + axis[2] * m[2 * n + i];
    low = Math.min(low, depth[i]);
    high = Math.max(high, depth[i]);
  }
  const bins = 65536;
  const starts = new Uint32Array(bins + 1);
  const factor = (bins - 1) / Math.max(1e-12, high - low);
  const key = (i) => bins - 1 - Math.floor((depth[i] - low) * factor);
  for (let i = 0; i < n; i++) starts[key(i) + 1]++;
  for (let b = 0; b < bins; b++) starts[b + 1] += starts[b];
  const order = new Uint32Array(4 * n);
  for (let i = 0; i < n; i++) {
    const place = 4 * starts[key(i)]++;
    order.fill(i, place, place + 4);
  }
  return order;
}

function drawScene(scene, camera, [left, width]) {
  const { gl, uniforms } = splats.gl;
  if (!scene.texture) upload(scene);
  const { pose, lens, size } = camera;
  gl.scissor(left, 0, width, gl.drawingBufferHeight);
  gl.activeTexture(gl.TEXTURE0);
  gl.bindTexture(gl.TEXTURE_2D, scene.texture);
  ["row0", "row1", "row2"].forEach((name, k) => gl.uniform4fv(uniforms[name], pose[k]));
  gl.uniform4fv(uniforms.lens, lens);
  gl.uniform3fv(uniforms.eye, cameraCenter(pose));
  gl.uniform2fv(uniforms.size, size);
  gl.uniform1f(uniforms.inconsistent, state.inconsistency && scene.worst ? scene.worst : 0);
  gl.bindBuffer(gl.ARRAY_BUFFER, scene.order);
  const axis = pose[2].slice(0, 3).join(" ");
  if (scene.axis !== axis) gl.bufferData(gl.ARRAY_BUFFER, sortByDepth(scene, pose[2]), gl.DYNAMIC_DRAW);
  scene.axis = axis;
  gl.vertexAttribIPointer(0, 1, gl.UNSIGNED_INT, 0, 0);
  gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, scene.corners);
  gl.drawElements(gl.TRIANGLES, 6 * scene.count, gl.UNSIGNED_INT, 0);
}

// A camera of the rig, fitted into the canvas; or one that goes around the head.
function splatCamera(width, height) {
  const now = rigNow();
  const index = now.names.indexOf(state.camera);
  const shown = index >= 0 ? index : now.shown;
  const [w, h] = now.sizes[shown];
  const k = now.intrinsics[shown];
  const factor = Math.min(width / w, height / h) * (index >= 0 ? 1 : splats.zoom);
  if (index >= 0) {
    const [x, y] = [(width - factor * w) / 2, (height - factor * h) / 2];
    return { pose: now.poses[index], size: [width, height], lens: [factor * k[0][0], factor * k[1][1], factor * k[0][2] + x, factor * k[1][2] + y] };
  }
  const distance = Math.hypot(...sub(cameraCenter(now.poses[shown]), now.center));
  const pose = orbitPose(now, splats.yaw, splats.pitch, distance);
  return { pose, size: [width, height], lens: [factor * k[0][0], factor * k[1][1], width / 2, height / 2] };
}

function drawSplats() {
  const scenes = splats.scenes.get(avatarNow().id);
  if (!splats.gl || !scenes) return;
  const canvas = find("splats");
  const ratio = splats.detail * Math.min(2, window.devicePixelRatio || 1);
  const [width, height] = [Math.round(canvas.clientWidth * ratio), Math.round(canvas.clientHeight * ratio)];
  if (!width || !height) return;
  if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
  drawInto(scenes, splatCamera(width, height), width, height);
  splats.drawn++;
}

function drawInto(scenes, camera, width, height) {
  const { gl } = splats.gl;
  gl.viewport(0, 0, width, height);
  gl.disable(gl.SCISSOR_TEST);
  gl.clearColor(236 / 255, 239 / 255, 242 / 255, 1);
  gl.clear(gl.COLOR_BUFFER_BIT);
  gl.enable(gl.SCISSOR_TEST);
  const how = shownSplats(scenes);
  const split = how === "avatar" ? 0 : how === "baseline" ? width : Math.round((width * find("swipe").value) / 100);
  if (split > 0) drawScene(scenes.baseline, camera, [0, split]);
  if (split < width) drawScene(scenes.avatar, camera, [split, width - split]);
}

// Draws a picture of a movement: as sharp as its time allows, and sharp again when all rests.
function drawMoving(time) {
  const took = time - splats.last;
  splats.last = time;
  // The first picture of a movement tells nothing about the time that one takes.
  if (splats.isMoving) {
    const step = DETAILS.indexOf(splats.detail);
    // The time grows with the number of pixels.
    const wanted = splats.detail * Math.sqrt(FRAME_MS / took);
    if (took > 1.4 * FRAME_MS) splats.detail = DETAILS.findLast((detail) => detail <= wanted) || DETAILS[0];
    else if (took < 0.6 * FRAME_MS) splats.detail = DETAILS[Math.min(DETAILS.length - 1, step + 1)];
  }
  splats.isMoving = true;
  drawSplats();
  clearTimeout(splats.rest);
  // A slow picture must not count as rest, so the clock starts when it is on the screen.
  const drawn = splats.drawn;
  requestAnimationFrame(() => {
    if (splats.drawn === drawn) splats.rest = setTimeout(restSplats, REST_MS);
  });
}

function restSplats() {
  splats.isMoving = false;
  splats.detail = 1;
  drawSplatsSoon();
}

// Of a scene of another method maybe only one is known.
function shownSplats(scenes) {
  if (!scenes.avatar) return "baseline";
  return scenes.baseline ? state.scene || "swipe" : "avatar";
}

let waiting = false;
function drawSplatsSoon(draw = drawSplats) {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame((time) => { waiting = false; draw(time); });
}

async function loadSplats() {
  const avatar = avatarNow();
  const [shared, own] = await Promise.all([content(avatar.shared), content(avatar.content)]);
  if (!splats.scenes.has(avatar.id)) {
    const same = [...splats.scenes].find(([id]) => avatars.find((a) => a.id === id).shared === avatar.shared);
    const baseline = same ? same[1].baseline : await unpacked(shared.splats);
    splats.scenes.set(avatar.id, { baseline, avatar: await unpacked(own.splats) });
  }
  if (avatar !== avatarNow()) return;
  const scenes = splats.scenes.get(avatar.id);
  const isKnown = Boolean(scenes.baseline || scenes.avatar);
  find("splats-part").hidden = !isKnown;
  document.querySelector("[data-part=splats-part]").hidden = !isKnown;
  find("scene-label").hidden = !scenes.baseline || !scenes.avatar;
  const names = rigNow().names;
  if (state.camera && !names.includes(state.camera)) change({ camera: "" });
  fillChoices(find("camera"), [["", "around the head"], ...names.map((name) => [name, name])], state.camera);
  find("inconsistency-label").hidden = !scenes.avatar?.worst;
  const left = [[words.before, scenes.baseline], [words.edited, scenes.avatar]].filter(([, s]) => s && s.count < s.all)
    .map(([name, s]) => `${name}: the ${s.count.toLocaleString("en")} largest of ${s.all.toLocaleString("en")} splats`);
  find("splats-note").textContent = splats.gl
    ? [`${scenes.avatar ? "" : `Shown as it was ${words.before}. `}Drag to turn; turn the wheel or pinch to zoom.`, ...left].join(" ")
    : "This browser cannot draw splats, as it has no WebGL 2. The views above show the same scenes.";
  showSplatChoices();
  drawRig();
}

function showSplatChoices() {
  const scenes = splats.scenes.get(avatarNow().id);
  find("scene").value = state.scene || "swipe";
  find("camera").value = state.camera;
  find("swipe-label").hidden = Boolean(scenes) && shownSplats(scenes) !== "swipe";
  find("inconsistency").checked = Boolean(state.inconsistency);
  const scene = scenes?.avatar;
  const isColored = Boolean(state.inconsistency && scene?.worst);
  find("splats-scale").hidden = !isColored;
  if (isColored) drawScale(find("splats-scale"), "0", `${show(scene.worst)} ΔE00`, ["consistent", ""]);
  drawSplatsSoon();
}

// Some splats as points, for the drawing of the rig.
function splatCloud(avatar) {
  const scenes = splats.scenes.get(avatar.id);
  const scene = scenes?.avatar || scenes?.baseline;
  if (!scene) return null;
  if (!scene.cloud) {
    const n = scene.count;
    const step = Math.max(1, Math.floor(n / 1500));
    scene.cloud = { points: [], colors: [] };
    for (let i = 0; i < n; i += step) {
      if (scene.opacities[i] < 0.3) continue;
      scene.cloud.points.push([0, 1, 2].map((k) => scene.means[k * n + i]));
      scene.cloud.colors.push(css([0, 1, 2].map((k) => Math.round(255 * Math.min(1, Math.max(0, SH0 * scene.sh0[k * n + i] + 0.5))))));
    }
  }
  return scene.cloud;
}

function turnSplats(dx, dy) {
  if (state.camera) change({ camera: "" });
  splats.yaw -= 0.008 * dx;
  splats.pitch = Math.min(1.5, Math.max(-1.5, splats.pitch + 0.008 * dy));
  drawSplatsSoon(drawMoving);
}

function zoomSplats(factor) {
  splats.zoom = Math.min(20, Math.max(0.2, splats.zoom * factor));
  drawSplatsSoon(drawMoving);
}

function toggleTurn() {
  const isTurning = find("turn").getAttribute("aria-pressed") !== "true";
  find("turn").setAttribute("aria-pressed", String(isTurning));
  find("turn").textContent = isTurning ? "Stop" : "Turn";
  if (isTurning && state.camera) change({ camera: "" });
  const turn = (time) => {
    if (find("turn").getAttribute("aria-pressed") !== "true") return;
    splats.yaw += 0.02;
    drawMoving(time);
    requestAnimationFrame(turn);
  };
  if (isTurning) requestAnimationFrame(turn);
}

function startSplats() {
  const canvas = find("splats");
  splats.gl = startDrawer();
  const both = `${words.before} | ${words.edited}`;
  fillChoices(find("scene"), [["swipe", both], ["avatar", words.edited], ["baseline", words.before]], "swipe");
  followPointer(canvas, turnSplats, zoomSplats);
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    zoomSplats(Math.exp(-0.0015 * event.deltaY));
  }, { passive: false });
  canvas.addEventListener("keydown", (event) => {
    const turns = { ArrowLeft: [15, 0], ArrowRight: [-15, 0], ArrowUp: [0, 15], ArrowDown: [0, -15] }[event.key];
    const zooms = { "+": 1.2, "-": 1 / 1.2 }[event.key];
    if (!turns && !zooms) return;
    if (turns) turnSplats(...turns);
    else zoomSplats(zooms);
    event.preventDefault();
    event.stopPropagation();
  });
  find("scene").addEventListener("input", () => change({ scene: find("scene").value }));
  find("camera").addEventListener("input", () => change({ camera: find("camera").value }));
  find("inconsistency").addEventListener("input", () => change({ inconsistency: find("inconsistency").checked ? "1" : "" }));
  find("swipe").addEventListener("input", () => drawSplatsSoon(drawMoving));
  find("turn").addEventListener("click", toggleTurn);
  new ResizeObserver(() => drawSplatsSoon()).observe(canvas);
  whenChanged(["avatar"], loadSplats);
  whenChanged(["scene", "camera", "inconsistency"], showSplatChoices);
  loadSplats();
}
