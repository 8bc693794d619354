// The rig in 3D: cameras in the color of their view's metric, edges in the color of their pairs'.
const rig = { yaw: 0, pitch: 0.25, zoom: 1, views: [], edges: [], content: null };

function projectRig(point) {
  const canvas = find("rig");
  const now = rigNow();
  const radius = rigRadius(now);
  const pose = orbitPose(now, rig.yaw, rig.pitch, 3.2 * radius);
  const [x, y, z] = pose.map((row) => dot(row.slice(0, 3), point) + row[3]);
  const focal = 1.25 * rig.zoom * Math.min(canvas.clientWidth, canvas.clientHeight);
  return { x: canvas.clientWidth / 2 + (focal * x) / z, y: canvas.clientHeight / 2 + (focal * y) / z, z };
}

// A pair's value: the mean of both directions.
function edgeValue(content, i, j, index) {
  const found = content.pairs.filter((p) => (p.target === i && p.source === j) || (p.target === j && p.source === i))
    .map((pair) => pair.values[index]).filter((value) => value !== null);
  return found.length ? found.reduce((sum, value) => sum + value, 0) / found.length : null;
}

async function loadRig() {
  rig.content = null;
  const avatar = avatarNow();
  const loaded = await content(avatar.content);
  if (avatar !== avatarNow()) return;
  rig.content = loaded;
  colorRig();
}

function colorRig() {
  if (!rig.content) return;
  const index = metricIndex();
  const values = rigNow().edges.map(([i, j]) => edgeValue(rig.content, i, j, index));
  const views = rig.content.views.map((view) => view[index]);
  rig.scale = goodness([...values, ...views], metric().higher);
  rig.values = values;
  rig.viewValues = views;
  if (rig.scale.any) drawMetricScale(find("rig-scale"), rig.scale);
  drawRig();
}

const paint = (value) => (value === null || value === undefined ? "#667480" : css(color(rig.scale.share(value))));

function drawRig() {
  const canvas = find("rig");
  const ratio = window.devicePixelRatio || 1;
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  if (!width || !rig.content) return;
  canvas.width = width * ratio;
  canvas.height = height * ratio;
  const pen = canvas.getContext("2d");
  pen.scale(ratio, ratio);
  const now = rigNow();
  const centers = now.poses.map(cameraCenter);
  const places = centers.map(projectRig);
  const chosen = chosenPair();
  rig.places = places;
  pen.lineCap = "round";
  drawHead(pen, now);
  now.edges.forEach(([i, j], k) => {
    const isChosen = (i === chosen.target && j === chosen.source) || (j === chosen.target && i === chosen.source);
    pen.strokeStyle = isChosen ? "#ffffff" : "#0e161e";
    pen.lineWidth = isChosen ? 8 : 5;
    line(pen, places[i], places[j]);
    pen.strokeStyle = paint(rig.values[k]);
    pen.lineWidth = isChosen ? 4 : 3;
    line(pen, places[i], places[j]);
  });
  const order = places.map((_, i) => i).sort((a, b) => places[b].z - places[a].z);
  for (const i of order) drawCamera(pen, now, i, places[i]);
}

function line(pen, a, b) {
  pen.beginPath();
  pen.moveTo(a.x, a.y);
  pen.lineTo(b.x, b.y);
  pen.stroke();
}

// A point for each of some splats, where they are known already.
function drawHead(pen, now) {
  const cloud = splatCloud(avatarNow());
  if (!cloud) {
    const middle = projectRig(now.center);
    pen.fillStyle = "#40505e";
    pen.beginPath();
    pen.arc(middle.x, middle.y, 10, 0, 7);
    pen.fill();
    return;
  }
  const places = cloud.points.map((point, i) => ({ ...projectRig(point), ink: cloud.colors[i] }));
  for (const place of places.sort((a, b) => b.z - a.z)) {
    pen.fillStyle = place.ink;
    pen.fillRect(place.x - 1.5, place.y - 1.5, 3, 3);
  }
}

function drawCamera(pen, now, i, place) {
  const [pose, [width, height], k] = [now.poses[i], now.sizes[i], now.intrinsics[i]];
  const depth = 0.12 * rigRadius(now);
  const corners = [[0, 0], [width, 0], [width, height], [0, height]].map(([x, y]) => {
    const ray = [(depth * (x - k[0][2])) / k[0][0], (depth * (y - k[1][2])) / k[1][1], depth];
    const centered = ray.map((value, r) => value - pose[r][3]);
    return projectRig([0, 1, 2].map((c) => centered.reduce((sum, value, r) => sum + value * pose[r][c], 0)));
  });
  const isShown = i === viewNow();
  pen.strokeStyle = paint(rig.viewValues[i]);
  pen.lineWidth = isShown ? 3 : 1.6;
  for (const [c, corner] of corners.entries()) {
    line(pen, place, corner);
    line(pen, corner, corners[(c + 1) % 4]);
  }
  pen.fillStyle = paint(rig.viewValues[i]);
  pen.beginPath();
  pen.arc(place.x, place.y, isShown ? 6 : 4, 0, 7);
  pen.fill();
  if (isShown || now.names.length <= 24) {
    pen.fillStyle = isShown ? "#ffffff" : "#b9c6d1";
    pen.font = "11px system-ui, sans-serif";
    pen.fillText(now.names[i], place.x + 7, place.y - 6);
  }
}

function distanceToLine(p, a, b) {
  const [vx, vy] = [b.x - a.x, b.y - a.y];
  const along = Math.min(1, Math.max(0, ((p.x - a.x) * vx + (p.y - a.y) * vy) / Math.max(1e-9, vx * vx + vy * vy)));
  return Math.hypot(p.x - a.x - along * vx, p.y - a.y - along * vy);
}

function pick(event) {
  if (!rig.places) return;
  const box = find("rig").getBoundingClientRect();
  const point = { x: event.clientX - box.left, y: event.clientY - box.top };
  const views = rig.places.map((place, i) => [Math.hypot(place.x - point.x, place.y - point.y), i]).sort((a, b) => a[0] - b[0]);
  if (views[0][0] < 10) {
    change({ view: rigNow().names[views[0][1]] });
    return;
  }
  const edges = rigNow().edges.map(([i, j]) => [distanceToLine(point, rig.places[i], rig.places[j]), i, j])
    .sort((a, b) => a[0] - b[0]);
  if (edges.length && edges[0][0] < 9) openPair(edges[0][1], edges[0][2]);
}

function turnRig(dx, dy) {
  rig.yaw -= 0.008 * dx;
  rig.pitch = Math.min(1.5, Math.max(-1.5, rig.pitch + 0.008 * dy));
  drawRig();
}

function zoomRig(factor) {
  rig.zoom = Math.min(6, Math.max(0.3, rig.zoom * factor));
  drawRig();
}

function startRig() {
  const canvas = find("rig");
  followPointer(canvas, turnRig, zoomRig, pick);
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    zoomRig(Math.exp(-0.0015 * event.deltaY));
  }, { passive: false });
  canvas.addEventListener("keydown", (event) => {
    const steps = { ArrowLeft: [15, 0], ArrowRight: [-15, 0], ArrowUp: [0, 15], ArrowDown: [0, -15] }[event.key];
    if (!steps) return;
    turnRig(...steps);
    event.preventDefault();
    event.stopPropagation();
  });
  new ResizeObserver(drawRig).observe(canvas);
  whenChanged(["avatar"], loadRig);
  whenChanged(["metric"], colorRig);
  whenChanged(["target", "source", "view"], drawRig);
  loadRig();
}
