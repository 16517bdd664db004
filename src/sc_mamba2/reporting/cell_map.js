// A map of cells on a canvas: colour, filter, hover, zoom and lasso. It draws the cells that it is given and
// asks for nothing; where they come from, a report or a server, is the caller's business (see cell_map.py).
"use strict";

const VIRIDIS = ["440154", "472d7b", "3b528b", "2c728e", "21918c", "28ae80", "5ec962", "addc30", "fde725"];
const SHADES = 64, MISSING = 0xffff, GREY = "#a6a6a6", MOST_ROUND = 10000, REACH = 12, MARGIN = 14;

// Cells as cell_map.py packs them, with typed arrays in the place of base64.
function unpackCells(packed) {
  const read = (text, Kind) => new Kind(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer);
  const column = (one) => one.codes ? { ...one, codes: read(one.codes, Uint16Array) }
    : { ...one, values: read(one.values, Float32Array) };
  const layouts = packed.layouts.map((one) => ({ ...one, places: read(one.places, Uint16Array) }));
  return { ...packed, layouts, columns: packed.columns.map(column) };
}

function make(tag, properties = {}, ...inside) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...inside);
  return made;
}

function dot(x, y, radius) {
  const made = new Path2D();
  made.arc(x, y, radius, 0, 2 * Math.PI);
  return made;
}

const fine = () => window.devicePixelRatio || 1;
const shown = (number) => Number(number.toPrecision(3)).toLocaleString("en");
const valueOf = (one, i) => one.codes ? one.classes[one.codes[i]] ?? "(none)"
  : Number.isNaN(one.values[i]) ? "(none)" : shown(one.values[i]);

function shade(share) {
  const at = Math.min(share, 0.9999) * (VIRIDIS.length - 1), low = Math.floor(at);
  const part = (one, place) => parseInt(VIRIDIS[one].slice(place, place + 2), 16);
  const mixed = [0, 2, 4].map((p) => Math.round(part(low, p) + (at - low) * (part(low + 1, p) - part(low, p))));
  return `rgb(${mixed})`;
}

// Draws `cells` into `host`. cells: {names, layouts: [{name, places}], columns}; places are x, y of each cell,
// 0 to 65535, y upwards. A column is {name, classes, colours, codes} or {name, least, most, values}.
// onselect(indices), where it is given, adds a lasso, and is called with the cells inside that are shown.
// Returns {add(column), colour(name)}: add a column and colour by it, or by one that is there.
function cellMap(host, cells, { onselect = null } = {}) {
  const count = cells.names.length, columns = [...cells.columns];
  const state = { layout: cells.layouts.at(-1), column: null, zoom: 1, x: 0, y: 0, hovered: -1, lasso: null };
  const hidden = new Uint8Array(count), paint = new Uint16Array(count), order = shuffled(count);
  let inks = [], width = 1, height = 1, waiting = false;

  const canvas = make("canvas", { tabIndex: 0 });
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", "Map of cells: arrows move it, plus and minus zoom, 0 shows all");
  const pen = canvas.getContext("2d");
  const tip = make("div", { className: "map-tip", hidden: true });
  const legend = make("div", { className: "map-legend", tabIndex: 0 });
  legend.setAttribute("role", "group");
  legend.setAttribute("aria-label", "Legend; what it names can be hidden");
  const amount = make("span", { className: "map-count" });
  amount.setAttribute("aria-live", "polite");
  const tools = make("div", { className: "map-tools" });
  const colours = picker("Colour by", columns, (one) => colourBy(one));
  if (cells.layouts.length > 1) picker("Layout", cells.layouts, (one) => ((state.layout = one), redraw()), state.layout);
  const zoomIn = (factor) => zoomAt(width / 2, height / 2, factor);
  tools.append(button("+", "Zoom in", () => zoomIn(1.5)), button("−", "Zoom out", () => zoomIn(1 / 1.5)),
    button("Show all", "Show all cells, none hidden", reset));
  const lasso = onselect && button("Lasso", "Draw around cells to select them", () =>
    lasso.setAttribute("aria-pressed", (state.lasso = state.lasso ? null : []) !== null));
  tools.append(...(lasso ? [lasso] : []), amount);
  host.replaceChildren(tools, make("div", { className: "map-body" },
    make("div", { className: "map-canvas" }, canvas, tip), legend));

  function picker(words, choices, chosen, first = choices[0]) {
    const select = make("select");
    const fill = () => select.replaceChildren(...choices.map((one, at) => make("option", { value: at }, one.name)));
    fill();
    select.value = choices.indexOf(first);
    select.addEventListener("change", () => chosen(choices[select.value]));
    tools.append(make("label", {}, `${words} `, select));
    return { select, fill };
  }

  function button(words, title, pressed) {
    const made = make("button", { type: "button", title }, words);
    made.setAttribute("aria-label", title);
    made.addEventListener("click", pressed);
    return made;
  }

  // Which cells the legends hide, and the ink of the others.
  function filter() {
    hidden.fill(0);
    for (const one of columns) {
      if (one.off?.size) for (let i = 0; i < count; i++) hidden[i] |= one.off.has(one.codes[i]);
      if (one.range) {
        const [low, high] = one.range;
        for (let i = 0; i < count; i++) hidden[i] |= !(one.values[i] >= low && one.values[i] <= high);
      }
    }
    const left = hidden.reduce((sum, one) => sum - one, count).toLocaleString("en");
    amount.textContent = `${left} of ${count.toLocaleString("en")} cells shown`;
    hover(-999, -999);
    redraw();
  }

  function colourBy(one) {
    state.column = one;
    colours.select.value = columns.indexOf(one);
    if (one.codes) {
      inks = [...one.colours, GREY];
      for (let i = 0; i < count; i++) paint[i] = Math.min(one.codes[i], one.classes.length);
    } else {
      inks = [...Array.from({ length: SHADES }, (_, at) => shade(at / (SHADES - 1))), GREY];
      const span = one.most - one.least || 1;
      for (let i = 0; i < count; i++) {
        const share = Math.max(0, Math.min(1, (one.values[i] - one.least) / span));
        paint[i] = Number.isNaN(share) ? SHADES : Math.round(share * (SHADES - 1));
      }
    }
    legend.replaceChildren(...(one.codes ? classLegend(one) : scaleLegend(one)));
    filter();
  }

  function classLegend(one) {
    one.off ??= new Set();
    const counts = new Uint32Array(one.classes.length + 1);
    for (const code of one.codes) counts[Math.min(code, one.classes.length)]++;
    const rows = [...one.classes, "(none)"].map((name, at) => {
      const code = at < one.classes.length ? at : MISSING;
      const swatch = make("i");
      swatch.style.background = inks[at];
      const row = make("button", { type: "button", className: "map-class", title: name }, swatch,
        make("span", {}, name), make("b", {}, counts[at].toLocaleString("en")));
      row.mark = () => row.setAttribute("aria-pressed", !one.off.has(code));
      row.addEventListener("click", () => {
        if (!one.off.delete(code)) one.off.add(code);
        row.mark();
        filter();
      });
      row.mark();
      return [row, code, counts[at]];
    }).filter(([, , cellsOf]) => cellsOf);
    const every = (words, title, off) => button(words, title, () => {
      one.off = new Set(off ? rows.map(([, code]) => code) : []);
      rows.forEach(([row]) => row.mark());
      filter();
    });
    const both = [every("All", "Show every class", false), every("None", "Hide every class", true)];
    return [make("div", { className: "map-every" }, ...both), ...rows.map(([row]) => row)];
  }

  function scaleLegend(one) {
    const bar = make("div", { className: "map-scale" });
    bar.style.background = `linear-gradient(90deg, ${[...VIRIDIS.keys()].map((at) => shade(at / 8))})`;
    const [low, high] = one.range ?? [one.least, one.most], slack = (one.most - one.least) * 1e-6;
    const ends = [["from", low], ["to", high]].map(([words, value]) => {
      const slider = make("input", { type: "range", min: one.least, max: one.most, step: "any", value });
      const number = make("span", {}, shown(value));
      slider.addEventListener("input", () => {
        const [least, most] = ends.map(([own]) => Number(own.value));
        const all = least <= one.least + slack && most >= one.most - slack;
        one.range = all ? null : [least - slack, most + slack];
        number.textContent = shown(Number(slider.value));
        filter();
      });
      return [slider, make("label", {}, `${words} `, slider, number)];
    });
    return [bar, ...ends.map(([, row]) => row)];
  }

  const across = (i) => MARGIN + (state.layout.places[2 * i] / 65535) * (width - 2 * MARGIN);
  const down = (i) => MARGIN + (1 - state.layout.places[2 * i + 1] / 65535) * (height - 2 * MARGIN);
  const place = (i) => [across(i) * state.zoom + state.x, down(i) * state.zoom + state.y];

  function redraw() {
    if (!waiting) requestAnimationFrame(draw);
    waiting = true;
  }

  function draw() {
    waiting = false;
    pen.setTransform(fine(), 0, 0, fine(), 0, 0);
    pen.clearRect(0, 0, width, height);
    const size = Math.max(2, Math.min(8, 300 / Math.sqrt(count))) * Math.min(2.5, Math.sqrt(state.zoom));
    for (const i of order) {
      if (hidden[i]) continue;
      const [x, y] = place(i);
      if (x < -size || y < -size || x > width + size || y > height + size) continue;
      pen.fillStyle = inks[paint[i]];
      if (count > MOST_ROUND) pen.fillRect(x - size / 2, y - size / 2, size, size);
      else pen.fill(dot(x, y, size / 2));
    }
    Object.assign(pen, { strokeStyle: getComputedStyle(canvas).color, lineWidth: 1.5 });
    if (state.hovered >= 0) pen.stroke(dot(...place(state.hovered), size / 2 + 2));
    if (state.lasso?.length) pen.stroke(new Path2D(`M${state.lasso.join("L")}`));
  }

  function hover(x, y) {
    let near = -1, least = REACH ** 2;
    for (let i = 0; i < count; i++) {
      if (hidden[i]) continue;
      const [ownX, ownY] = place(i), apart = (ownX - x) ** 2 + (ownY - y) ** 2;
      if (apart < least) [near, least] = [i, apart];
    }
    if (near !== state.hovered) redraw();
    state.hovered = near;
    if ((tip.hidden = near < 0)) return;
    tip.replaceChildren(make("strong", {}, cells.names[near]),
      ...columns.map((one) => make("div", {}, `${one.name}: ${valueOf(one, near)}`)));
    tip.style.left = `${Math.max(0, Math.min(x + 14, width - tip.offsetWidth - 4))}px`;
    tip.style.top = `${y + 18 + tip.offsetHeight < height ? y + 14 : Math.max(0, y - tip.offsetHeight - 10)}px`;
  }

  function zoomAt(x, y, factor) {
    const zoom = Math.max(0.5, Math.min(60, state.zoom * factor)), real = zoom / state.zoom;
    Object.assign(state, { zoom, x: x - (x - state.x) * real, y: y - (y - state.y) * real });
    redraw();
  }

  function reset() {
    Object.assign(state, { zoom: 1, x: 0, y: 0 });
    for (const one of columns) Object.assign(one, { off: null, range: null });
    colourBy(state.column);
  }

  function inside(i) {
    const [x, y] = place(i), ring = state.lasso;
    let odd = false;
    for (let at = 0, last = ring.length - 1; at < ring.length; last = at++) {
      const [ax, ay] = ring[at], [bx, by] = ring[last];
      if (ay > y !== by > y && x < ax + ((y - ay) / (by - ay)) * (bx - ax)) odd = !odd;
    }
    return odd;
  }

  let held = null;
  canvas.addEventListener("pointerdown", (event) => {
    held = [event.offsetX, event.offsetY];
    if (state.lasso) state.lasso = [held];
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", ({ offsetX: x, offsetY: y }) => {
    if (!held) return hover(x, y);
    if (state.lasso) state.lasso.push([x, y]);
    else Object.assign(state, { x: state.x + x - held[0], y: state.y + y - held[1] });
    held = [x, y];
    tip.hidden = true;
    redraw();
  });
  canvas.addEventListener("pointerup", () => {
    held = null;
    if (state.lasso) onselect([...cells.names.keys()].filter((i) => !hidden[i] && inside(i)));
  });
  canvas.addEventListener("pointercancel", () => (held = null));
  canvas.addEventListener("pointerleave", () => hover(-999, -999));
  canvas.addEventListener("wheel", (event) => {
    if (document.activeElement !== canvas && !event.ctrlKey) return; // the page scrolls
    event.preventDefault();
    zoomAt(event.offsetX, event.offsetY, Math.exp(-event.deltaY / 400));
  }, { passive: false });
  const keys = { ArrowLeft: [40, 0], ArrowRight: [-40, 0], ArrowUp: [0, 40], ArrowDown: [0, -40] };
  canvas.addEventListener("keydown", (event) => {
    const [x, y] = keys[event.key] ?? [0, 0];
    if ("+=".includes(event.key)) zoomIn(1.5);
    else if (event.key === "-") zoomIn(1 / 1.5);
    else if (event.key === "0") reset();
    else if (x || y) Object.assign(state, { x: state.x + x, y: state.y + y });
    else return;
    event.preventDefault();
    redraw();
  });
  new ResizeObserver(() => {
    [width, height] = [canvas.clientWidth, canvas.clientHeight];
    if (width && height) Object.assign(canvas, { width: width * fine(), height: height * fine() });
    draw();
  }).observe(canvas);

  if (columns.length) colourBy(columns[0]);
  return {
    add(column) {
      const at = columns.findIndex((one) => one.name === column.name);
      columns.splice(at < 0 ? columns.length : at, 1, column);
      colours.fill();
      colourBy(column);
    },
    colour: (name) => colourBy(columns.find((one) => one.name === name)),
  };
}

// The order in which cells are drawn: the same each time, and no class always on top of another.
function shuffled(count) {
  const order = Uint32Array.from({ length: count }, (_, at) => at);
  for (let at = count - 1, seed = 1; at > 0; at--) {
    seed = (seed * 48271) % 2147483647;
    const other = seed % (at + 1);
    [order[at], order[other]] = [order[other], order[at]];
  }
  return order;
}
