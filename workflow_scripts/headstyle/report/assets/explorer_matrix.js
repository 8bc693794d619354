// All avatars at a glance: heads by prompts and strengths in the color of a metric, and in order.
function valueOf(avatar) {
  return avatar.values[metricIndex()][state.value === "excess" ? 3 : 0];
}

function fits(avatar) {
  const words = state.search.toLowerCase().split(/\s+/).filter(Boolean);
  const text = [avatar.subject.name, avatar.prompt, avatar.promptName, avatar.text, avatar.strength]
    .join(" ").toLowerCase();
  return (!state.strength || avatar.strength === state.strength) && words.every((word) => text.includes(word));
}

function bestFirst(list) {
  const sign = metric().higher ? -1 : 1;
  const key = (avatar) => valueOf(avatar) ?? Infinity * sign;
  return [...list].sort((a, b) => sign * (key(a) - key(b)) || 0);
}

function mean(list) {
  const known = list.map(valueOf).filter((value) => value !== null);
  return known.length ? known.reduce((sum, value) => sum + value, 0) / known.length : null;
}

// Rows or columns in the chosen order; the study's order is the one they have.
function inOrder(names, list, belongs) {
  if (!state.sort || state.sort === "study") return names;
  const sign = (metric().higher ? -1 : 1) * (state.sort === "worst" ? -1 : 1);
  const means = new Map(names.map((name) => [name, mean(list.filter((avatar) => belongs(avatar, name)))]));
  return [...names].sort((a, b) => sign * ((means.get(a) ?? 0) - (means.get(b) ?? 0)));
}

function drawMatrix() {
  const chosen = avatars.filter(fits);
  const scale = goodness(chosen.map(valueOf), metric().higher);
  const column = (avatar) => JSON.stringify([avatar.prompt, avatar.strength]);
  const rows = inOrder([...new Set(chosen.map((a) => a.subject.name))], chosen, (a, name) => a.subject.name === name);
  const columns = inOrder([...new Set(chosen.map(column))], chosen, (a, name) => column(a) === name);
  find("nothing").hidden = chosen.length > 0;
  find("direction").textContent = [`${metric().name}${metric().unit ? ` [${metric().unit}]` : ""}`,
    `${metric().higher ? "higher" : "lower"} is more consistent`, metric().meaning].filter(Boolean).join(" · ");
  find("matrix-scale").hidden = !scale.any;
  if (scale.any) drawMetricScale(find("matrix-scale"), scale);
  const heads = columns.map((name) => {
    const avatar = chosen.find((a) => column(a) === name);
    return make("th", { scope: "col", title: avatar.text },
      avatar.prompt, make("span", { className: "unit", textContent: [avatar.promptName, avatar.strength].filter(Boolean).join(", ") }));
  });
  const body = rows.map((name) => make("tr", {}, make("th", { scope: "row", textContent: name }),
    ...columns.map((head) => cell(chosen.find((a) => a.subject.name === name && column(a) === head), scale))));
  find("matrix").replaceChildren(chosen.length ? make("table", { className: "matrix", "aria-labelledby": "matrix-title" },
    make("thead", {}, make("tr", {}, make("td"), ...heads)), make("tbody", {}, ...body)) : "");
  drawLeaders(bestFirst(chosen), scale);
  markAvatar();
}

function cell(avatar, scale) {
  if (!avatar) return make("td", { className: "missing", textContent: "–" });
  const value = valueOf(avatar);
  const button = make("button", { type: "button", textContent: show(value), title: avatar.text });
  button.dataset.avatar = avatar.id;
  button.setAttribute("aria-label", `${avatar.subject.name}, ${label(avatar)}: ${metric().name} ${show(value)}`);
  if (value !== null) {
    const rgb = color(scale.share(value));
    button.style.background = css(rgb);
    button.style.color = inkOn(rgb);
  }
  button.addEventListener("click", () => openAvatar(avatar.id));
  return make("td", {}, button);
}

function drawLeaders(list, scale) {
  const excess = state.value === "excess";
  const ends = list.flatMap((a) => (excess ? [valueOf(a)] : a.values[metricIndex()].slice(0, 3))).filter((v) => v !== null);
  const [low, high] = [Math.min(...ends), Math.max(...ends)];
  const place = (value) => `${high > low ? (100 * (value - low)) / (high - low) : 50}%`;
  find("leaders").replaceChildren(...list.map((avatar) => {
    const [, from, to] = avatar.values[metricIndex()];
    const value = valueOf(avatar);
    const track = make("span", { className: "track" });
    if (!excess && from !== null && to !== null) {
      const bar = make("span", { className: "interval" });
      bar.style.left = place(from);
      bar.style.width = `calc(${place(to)} - ${place(from)})`;
      track.append(bar);
    }
    if (value !== null) {
      const point = make("span", { className: "point" });
      point.style.left = place(value);
      point.style.background = css(color(scale.share(value)));
      track.append(point);
    }
    const interval = excess || from === null ? "" : ` (95 % from ${show(from)} to ${show(to)})`;
    const button = make("button", { type: "button", title: `${avatar.text}${interval}` },
      make("span", { className: "name", textContent: fullName(avatar) }),
      track, make("span", { className: "value", textContent: show(value) }));
    button.dataset.avatar = avatar.id;
    button.addEventListener("click", () => openAvatar(avatar.id));
    return make("li", {}, button);
  }));
}

function markAvatar() {
  for (const button of document.querySelectorAll("[data-avatar]")) {
    button.setAttribute("aria-current", String(button.dataset.avatar === avatarNow()?.id));
  }
}

function openAvatar(id) {
  change({ avatar: id });
  find("avatar-part").scrollIntoView({ block: "start" });
}

function moveInMatrix(event) {
  const steps = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0] }[event.key];
  const here = event.target.closest("td");
  if (!steps || !here) return;
  const row = here.parentElement.parentElement.rows[here.parentElement.sectionRowIndex + steps[0]];
  row?.cells[here.cellIndex + steps[1]]?.querySelector("button")?.focus();
  event.preventDefault();
}

function startMatrix() {
  fillChoices(find("metric"), summary.metrics.map((m) => [m.key, m.name]), metric().key);
  const strengths = [...new Set(avatars.map((avatar) => avatar.strength))];
  fillChoices(find("strength"), [["", "all"], ...strengths.map((name) => [name, name])], state.strength);
  find("strength-label").hidden = strengths.join("") === "";
  fillChoices(find("value"), [["mean", "value"], ["excess", words.excess]], "mean");
  find("value-label").hidden = !avatars.some((avatar) => avatar.values.some((value) => value[3] !== null));
  for (const key of ["metric", "value", "strength", "sort", "search"]) {
    const field = find(key);
    field.addEventListener("input", () => change({ [key]: field.value }));
  }
  find("matrix").addEventListener("keydown", moveInMatrix);
  const draw = () => {
    find("metric").value = metric().key;
    find("value").value = state.value || "mean";
    find("strength").value = state.strength;
    find("sort").value = state.sort || "study";
    if (find("search").value !== state.search) find("search").value = state.search;
    drawMatrix();
  };
  whenChanged(["metric", "value", "strength", "sort", "search"], draw);
  whenChanged(["avatar"], markAvatar);
  draw();
}
