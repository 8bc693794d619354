// The film of an avatar beside its baseline, where one was made, and how much both flicker.
async function loadFilm() {
  const avatar = avatarNow();
  const { film } = await content(avatar.content);
  if (avatar !== avatarNow()) return;
  find("film-part").hidden = !film;
  document.querySelector("[data-part=film-part]").hidden = !film;
  const video = find("film");
  video.hidden = !film?.video;
  video.removeAttribute("src");
  if (!film) return;
  if (film.video) video.src = `data:video/mp4;base64,${film.video}`;
  find("film-note").textContent = film.video
    ? `Left the ${words.before}, right the ${words.edited}, on one path through the cameras. Below, what changed since the frame before, where both show the same surface.`
    : `The film is too large for this page; it lies at ${film.path}.`;
  drawFlicker(film.flicker);
}

// A row per metric, a column per scene and range.
function drawFlicker(flicker) {
  const scenes = Object.keys(flicker);
  const ranges = ["short", "long"];
  const names = [...new Set(Object.keys(flicker[scenes[0]]).map((key) => key.slice(key.indexOf("_") + 1)))];
  const known = (name) => summary.metrics.find((m) => m.key === name)?.name || name;
  find("flicker").replaceChildren(make("table", { className: "flicker", "aria-describedby": "flicker-note" },
    make("thead", {}, make("tr", {}, make("td"), ...scenes.flatMap((scene) =>
      ranges.map((range) => make("th", { scope: "col", textContent: `${scene}, ${range}` }))))),
    make("tbody", {}, ...names.map((name) => make("tr", {}, make("th", { scope: "row", textContent: known(name) }),
      ...scenes.flatMap((scene) => ranges.map((range) =>
        make("td", { className: "n", textContent: show(flicker[scene][`${range}_${name}`]) }))))))));
}

function startFilm() {
  whenChanged(["avatar"], loadFilm);
  loadFilm();
}
