// Frames, step by step; keys. Every address is the server's own.
"use strict";

const byId = (id) => document.getElementById(id);
const follow = (id) => byId(id)?.click();
const keys = {
  n: () => follow("after"),
  p: () => follow("before"),
  "?": () => byId("keys").showModal(),
};

byId("keys-open").addEventListener("click", keys["?"]);
for (const form of document.querySelectorAll("form.filters")) {
  form.addEventListener("submit", () => {  // what does not filter stays out of the link
    for (const field of form.elements) field.disabled = field.value === "" && field.name !== "";
  });
  addEventListener("pageshow", () => {  // back again
    for (const field of form.elements) field.disabled = false;
  });
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || byId("keys").open) return;
  const at = event.target;
  const own = event.key === " " ? at.matches("button, select")  // what a control does by itself
    : at.matches("select") || (event.key.length > 1 && at.matches("input"));
  if (own || !keys[event.key]) return;
  event.preventDefault();
  keys[event.key](event);
});

const viewer = byId("viewer");
if (viewer) {
  const KEPT = 400, AHEAD = 4, SLOW_MS = 400, SETTLED_MS = 200;
  const slider = byId("step"), camera = byId("camera"), reads = byId("reads"), play = byId("play"), status = byId("status");
  const figures = [...viewer.querySelectorAll("figure")];
  const hz = Number(viewer.dataset.hz), last = Number(slider.max);
  const loaded = new Map();  // address -> promise of a picture
  let wanted = Math.min(Number(viewer.dataset.step), last), shown = "", busy = null, playing = false, settling = 0;

  const load = (figure, step) => {
    const at = Math.min(step, Number(figure.dataset.steps));
    const more = new URLSearchParams({ step: at, camera: camera.value });
    if (reads?.value) more.set("reads", reads.value);
    const address = `${figure.dataset.frame}&${more}`;
    if (!loaded.has(address)) {
      loaded.set(address, fetch(address).then(async (answer) => {
        if (!answer.ok) throw new Error(await answer.text());
        const note = decodeURIComponent(answer.headers.get("Note") || "");
        return { source: URL.createObjectURL(await answer.blob()), note };
      }));
      loaded.get(address).catch(() => loaded.delete(address));
      if (loaded.size > KEPT) {
        const [oldest, picture] = loaded.entries().next().value;
        loaded.delete(oldest);
        picture.then(({ source }) => URL.revokeObjectURL(source), () => {});
      }
    }
    return loaded.get(address);
  };

  const tell = () => {
    slider.value = wanted;
    byId("at").textContent = `${wanted} of ${last} (${(wanted / hz).toFixed(1)} s)`;
    const link = new URL(location.href);
    link.searchParams.set("step", wanted);
    link.searchParams.set("camera", camera.value);
    if (reads?.value) link.searchParams.set("reads", reads.value);
    else link.searchParams.delete("reads");
    byId("here").href = link;
    const compare = byId("compare")?.elements;
    if (compare) [compare.step.value, compare.camera.value] = [wanted, camera.value];
    clearTimeout(settling);  // browsers refuse an address that changes all the time
    if (!playing) settling = setTimeout(() => history.replaceState(null, "", link), SETTLED_MS);
  };

  const moment = () => `${wanted} ${camera.value} ${reads?.value}`;

  const draw = async () => {  // always the latest that is wanted, one after the other
    while (shown !== moment()) {
      const drawn = moment(), step = wanted, seen = camera.value;
      const slow = setTimeout(() => {
        viewer.setAttribute("aria-busy", "true");
        status.textContent = "Drawing; the first frame of a task takes some seconds.";
      }, SLOW_MS);
      try {
        const pictures = await Promise.all(figures.map((figure) => load(figure, step)));
        const notes = [];
        await Promise.all(figures.map((figure, number) => {
          const image = figure.querySelector("img"), { source, note } = pictures[number];
          image.src = source;
          const whose = figure.querySelector("strong").textContent;
          if (note) notes.push(`${whose}: ${note}`);
          image.alt = `${whose} at step ${Math.min(step, figure.dataset.steps)}, camera ${seen}`;
          return image.decode().catch(() => {});
        }));
        status.textContent = notes.join("; ");
      } catch (error) {
        playing = false;
        status.textContent = error.message || "The server does not answer.";
      }
      clearTimeout(slow);
      viewer.removeAttribute("aria-busy");
      shown = drawn;
    }
  };

  const show = (step) => {
    wanted = Math.max(0, Math.min(step, last));
    tell();
    busy ??= draw().finally(() => { busy = null; });
    return busy;
  };

  const press = (is) => {
    playing = is;
    play.textContent = is ? "Pause" : "Play";
    play.setAttribute("aria-pressed", String(is));
    tell();
  };

  const run = async () => {
    if (playing) return press(false);
    if (wanted === last) wanted = -1;
    press(true);
    while (playing && wanted < last) {
      const began = performance.now();
      await show(wanted + 1);
      for (let ahead = 1; ahead <= AHEAD; ahead++) {
        if (wanted + ahead <= last) figures.forEach((figure) => load(figure, wanted + ahead).catch(() => {}));
      }
      await new Promise((done) => setTimeout(done, Math.max(0, 1000 / hz - (performance.now() - began))));
    }
    press(false);
  };

  const go = (step) => { playing = false; return show(step); };
  const turn = () => {
    camera.selectedIndex = (camera.selectedIndex + 1) % camera.length;
    show(wanted);
  };
  slider.addEventListener("input", () => go(Number(slider.value)));
  camera.addEventListener("change", () => show(wanted));
  reads?.addEventListener("change", () => show(wanted));
  play.addEventListener("click", run);
  byId("back").addEventListener("click", () => go(wanted - 1));
  byId("forth").addEventListener("click", () => go(wanted + 1));
  viewer.addEventListener("click", async ({ target }) => {
    if (target.matches(".go")) go(Number(target.dataset.step));
    if (target.matches(".explain")) {
      target.disabled = true;
      const answer = await fetch(target.dataset.why);
      target.disabled = false;
      if (!answer.ok) { status.textContent = await answer.text(); return; }
      const found = await answer.json(), place = target.parentElement;
      place.textContent = `${found.label}: ${found.evidence} `;
      const button = Object.assign(document.createElement("button"), {
        type: "button", className: "go", textContent: `Go to step ${found.step}`,
      });
      button.dataset.step = found.step;
      place.append(button);
    }
  });
  Object.assign(keys, {
    ArrowLeft: (event) => go(wanted - (event.shiftKey ? 10 : 1)),
    ArrowRight: (event) => go(wanted + (event.shiftKey ? 10 : 1)),
    Home: () => go(0),
    End: () => go(last),
    " ": run,
    c: turn,
  });
  show(wanted);
}
