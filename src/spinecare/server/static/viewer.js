// The scan's viewer: zoom, pan, window, strength of the map. Levels and maps switch without it.
"use strict";

(() => {
  const MOST = 12;
  const STEP = 1.4;

  for (const one of document.querySelectorAll(".live-only")) one.hidden = false;
  document.querySelector('[data-do="print"]')?.addEventListener("click", () => window.print());

  const viewer = document.querySelector(".viewer");
  if (!viewer) return;
  const stage = viewer.querySelector(".stage");
  const svg = stage.querySelector("svg");
  const size = { w: Number(viewer.dataset.width), h: Number(viewer.dataset.height) };
  const mm = Number(viewer.dataset.mm) || 0; // of one unit across
  const say = viewer.querySelector(".zoom-say");
  const names = svg.querySelectorAll(".levels text");
  const ruler = svg.querySelector(".ruler");
  const at = { x: size.w / 2, y: size.h / 2, zoom: 1 };

  // What is seen at zoom 1: the whole scan, in the shape of the stage.
  const whole = () => {
    const box = svg.getBoundingClientRect();
    const shape = box.width / box.height;
    return size.w / size.h < shape ? { w: size.h * shape, h: size.h } : { w: size.w, h: size.w / shape };
  };

  const within = (value, seen, all) => (seen >= all ? all / 2 : Math.min(all - seen / 2, Math.max(seen / 2, value)));

  const draw = () => {
    const box = svg.getBoundingClientRect();
    if (!box.height) return; // not shown
    const full = whole();
    const seen = { w: full.w / at.zoom, h: full.h / at.zoom };
    at.x = within(at.x, seen.w, size.w);
    at.y = within(at.y, seen.h, size.h);
    const left = at.x - seen.w / 2;
    const top = at.y - seen.h / 2;
    svg.setAttribute("viewBox", `${left} ${top} ${seen.w} ${seen.h}`);
    stage.classList.toggle("zoomed", at.zoom > 1);
    const pixel = seen.w / box.width;
    for (const name of names) {
      name.setAttribute("font-size", 14 * pixel);
      name.setAttribute("stroke-width", 3.5 * pixel);
    }
    if (mm) drawRuler(left, top + seen.h, seen.w, pixel);
    say.value = `${Math.round(at.zoom * 100)} %`;
    say.hidden = at.zoom === 1;
  };

  const drawRuler = (left, bottom, width, pixel) => {
    const room = width * mm * 0.28;
    const length = [100, 50, 20, 10, 5, 2, 1].find((l) => l <= room) ?? 1;
    const [x, y] = [left + 16 * pixel, bottom - 16 * pixel];
    const path = `M${x} ${y - 5 * pixel}V${y}H${x + length / mm}V${y - 5 * pixel}`;
    for (const line of ruler.querySelectorAll("path")) line.setAttribute("d", path);
    const text = ruler.querySelector("text");
    text.textContent = `${length} mm`;
    text.setAttribute("x", x);
    text.setAttribute("y", y - 10 * pixel);
    text.setAttribute("font-size", 13 * pixel);
    text.setAttribute("stroke-width", 3 * pixel);
    ruler.removeAttribute("hidden");
  };

  // A place on the screen in the units of the picture.
  const place = (clientX, clientY) => {
    const box = svg.getBoundingClientRect();
    const full = whole();
    return {
      x: at.x + ((clientX - box.left) / box.width - 0.5) * (full.w / at.zoom),
      y: at.y + ((clientY - box.top) / box.height - 0.5) * (full.h / at.zoom),
    };
  };

  // Zoom so that what lies under (clientX, clientY) stays there; the middle where none is given.
  const zoomTo = (zoom, clientX, clientY) => {
    const next = Math.min(MOST, Math.max(1, zoom));
    if (clientX !== undefined) {
      const here = place(clientX, clientY);
      at.x = here.x + (at.x - here.x) * (at.zoom / next);
      at.y = here.y + (at.y - here.y) * (at.zoom / next);
    }
    at.zoom = next;
    draw();
  };

  const move = (dx, dy) => {
    const full = whole();
    const box = svg.getBoundingClientRect();
    at.x -= (dx / box.width) * (full.w / at.zoom);
    at.y -= (dy / box.height) * (full.h / at.zoom);
    draw();
  };

  const fit = () => {
    Object.assign(at, { x: size.w / 2, y: size.h / 2, zoom: 1 });
    draw();
  };

  stage.tabIndex = 0;
  stage.setAttribute("role", "group");
  stage.setAttribute("aria-label", "Scan. Plus and minus zoom, arrow keys move, 0 shows the whole scan.");
  stage.classList.add("live");
  viewer.querySelector(".zoom").hidden = false;

  const doing = {
    in: () => zoomTo(at.zoom * STEP),
    out: () => zoomTo(at.zoom / STEP),
    fit,
    reset: () => {
      for (const one of [brightness, contrast]) one.value = 0;
      invert.checked = false;
      windowed();
    },
  };
  viewer.addEventListener("click", (event) => doing[event.target.closest("[data-do]")?.dataset.do]?.());

  stage.addEventListener(
    "wheel",
    (event) => {
      // The page scrolls over the scan until somebody works in it; a pinch on a touchpad comes as ctrl and wheel.
      if (!event.ctrlKey && !stage.contains(document.activeElement)) return;
      event.preventDefault();
      const lines = event.deltaMode === 1 ? 16 : 1;
      zoomTo(at.zoom * Math.exp((-event.deltaY * lines) / (event.ctrlKey ? 100 : 400)), event.clientX, event.clientY);
    },
    { passive: false },
  );

  stage.addEventListener("keydown", (event) => {
    if (event.target !== stage || event.altKey || event.ctrlKey || event.metaKey) return;
    const far = 60;
    const keys = {
      "+": doing.in, "=": doing.in, "-": doing.out, _: doing.out, 0: fit, Home: fit,
      ArrowLeft: () => move(far, 0), ArrowRight: () => move(-far, 0),
      ArrowUp: () => move(0, far), ArrowDown: () => move(0, -far),
    };
    // At the whole scan there is nowhere to move: the arrows scroll the page as everywhere.
    if (!keys[event.key] || (event.key.startsWith("Arrow") && at.zoom === 1)) return;
    event.preventDefault();
    keys[event.key]();
  });

  const fingers = new Map();
  stage.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || event.target.closest("button")) return;
    fingers.set(event.pointerId, event);
    if (event.pointerType !== "touch" || at.zoom > 1 || fingers.size > 1) stage.setPointerCapture(event.pointerId);
  });
  stage.addEventListener("pointermove", (event) => {
    const last = fingers.get(event.pointerId);
    if (!last) return;
    fingers.set(event.pointerId, event);
    if (fingers.size === 1) {
      move(event.clientX - last.clientX, event.clientY - last.clientY);
      return;
    }
    const other = [...fingers.values()].find((one) => one.pointerId !== event.pointerId);
    const apart = (one) => Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY) || 1;
    move((event.clientX - last.clientX) / 2, (event.clientY - last.clientY) / 2);
    zoomTo(at.zoom * (apart(event) / apart(last)), (event.clientX + other.clientX) / 2, (event.clientY + other.clientY) / 2);
  });
  for (const end of ["pointerup", "pointercancel", "lostpointercapture"]) {
    stage.addEventListener(end, (event) => fingers.delete(event.pointerId));
  }
  stage.addEventListener("dblclick", (event) => {
    if (event.target.closest("button")) return;
    if (at.zoom > 1) fit();
    else zoomTo(3, event.clientX, event.clientY);
  });
  // Two fingers on the scan zoom the scan, not the page.
  stage.addEventListener("touchmove", (event) => event.touches.length > 1 && event.preventDefault(), { passive: false });
  new ResizeObserver(draw).observe(stage);

  // Window: grey' = slope * (grey - 1/2) + 1/2 + shift. The filter is off while nothing is changed.
  const brightness = viewer.querySelector("#brightness");
  const contrast = viewer.querySelector("#contrast");
  const invert = viewer.querySelector("#invert");
  const scan = svg.querySelector(".scan");
  const windowed = () => {
    const shift = Number(brightness.value) / 100;
    let slope = Math.pow(4, Number(contrast.value) / 80);
    let intercept = 0.5 - slope / 2 + shift;
    if (invert.checked) [slope, intercept] = [-slope, 1 - intercept];
    for (const one of svg.querySelectorAll("#window feComponentTransfer > *")) {
      one.setAttribute("slope", slope);
      one.setAttribute("intercept", intercept);
    }
    if (slope === 1 && intercept === 0) scan.removeAttribute("filter");
    else scan.setAttribute("filter", "url(#window)");
  };
  for (const one of [brightness, contrast, invert]) one.addEventListener("input", windowed);

  const opacity = viewer.querySelector("#opacity");
  const faded = () => svg.querySelector(".overlays").setAttribute("opacity", Number(opacity.value) / 100);
  opacity?.addEventListener("input", faded);

  draw();
})();
