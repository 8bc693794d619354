// Starts the parts of the explorer, and what belongs to none of them: title, theme, keys, the avatar's head.
function drawHeading() {
  const avatar = avatarNow();
  find("avatar-title").textContent = `${avatar.subject.name}: ${label(avatar)}`;
  find("prompt").textContent = [avatar.promptName, avatar.text && `“${avatar.text}”`].filter(Boolean).join(": ");
  find("numbers").replaceChildren(...summary.metrics.map((m, k) => {
    const [value, low, high] = avatar.values[k];
    const before = avatar.subject.baseline[k][0];
    const notes = [low !== null ? `${show(low)} to ${show(high)}` : "", before !== null ? `${words.before} ${show(before)}` : ""];
    const item = make("li", { title: m.meaning }, make("b", { textContent: show(value) }),
      make("span", { textContent: m.name }), make("span", { textContent: notes.filter(Boolean).join(", ") }));
    item.classList.toggle("chosen", k === metricIndex());
    return item;
  }));
}

function stepAvatar(by) {
  const list = bestFirst(avatars.filter(fits));
  const here = list.findIndex((avatar) => avatar.id === avatarNow().id);
  const next = list[(here + by + list.length) % list.length];
  if (next) change({ avatar: next.id });
}

function setTheme(name) {
  document.documentElement.dataset.theme = name;
  find("theme").textContent = name === "dark" ? "Light" : "Dark";
}

function toggleKeys() {
  find("keys").hidden = !find("keys").hidden;
  find("keys-button").setAttribute("aria-expanded", String(!find("keys").hidden));
}

function onKey(event) {
  const { key, target } = event;
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (target.matches("input, select, textarea") && key !== "Escape") return;
  // What has the focus keeps the keys that move or press it.
  if (key.startsWith("Arrow") && target.closest(".matrix, canvas, [role=slider]")) return;
  if (target.matches("video") || (key === " " && target.matches("button, a"))) return;
  const moves = { ArrowRight: [-0.1, 0], ArrowLeft: [0.1, 0], ArrowDown: [0, -0.1], ArrowUp: [0, 0.1] }[key];
  const acts = event.shiftKey && moves ? { [key]: () => movePanes(...moves) } : {
    "/": () => find("search").focus(),
    "[": () => stepAvatar(-1),
    "]": () => stepAvatar(1),
    "?": toggleKeys,
    x: swapPair,
    t: toggleTurn,
    Escape: () => target.blur(),
    ArrowRight: () => stepView(1),
    ArrowLeft: () => stepView(-1),
    " ": togglePlay,
    "+": () => zoomMiddle(1.25),
    "-": () => zoomMiddle(1 / 1.25),
    0: showWhole,
  };
  if (!acts[key]) return;
  event.preventDefault();
  acts[key]();
}

function start() {
  find("title").textContent = summary.title;
  for (const place of document.querySelectorAll("[data-word]")) place.textContent = words[place.dataset.word];
  find("previous").setAttribute("aria-label", `Previous ${words.scene}`);
  find("next").setAttribute("aria-label", `Next ${words.scene}`);
  setTheme(matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
  find("theme").addEventListener("click", () => setTheme(document.documentElement.dataset.theme === "dark" ? "light" : "dark"));
  find("keys-button").addEventListener("click", toggleKeys);
  for (const link of document.querySelectorAll("[data-part]")) {
    // The fragment of the address holds the state, so a link must not overwrite it.
    link.addEventListener("click", (event) => {
      event.preventDefault();
      find(link.dataset.part).scrollIntoView();
    });
  }
  if (!avatars.length) {
    find("matrix").replaceChildren(make("p", { className: "empty", textContent: words.nothing }));
    for (const part of ["avatar-part", "views-part", "splats-part", "film-part"]) find(part).hidden = true;
    return;
  }
  changeToLink();
  if (!state.avatar) state.avatar = bestFirst(avatars)[0].id;
  window.addEventListener("hashchange", changeToLink);
  find("previous").addEventListener("click", () => stepAvatar(-1));
  find("next").addEventListener("click", () => stepAvatar(1));
  whenChanged(["avatar", "metric"], drawHeading);
  drawHeading();
  startMatrix();
  startRig();
  startPair();
  startViews();
  startSplats();
  startFilm();
  document.addEventListener("keydown", onKey);
}

start();
