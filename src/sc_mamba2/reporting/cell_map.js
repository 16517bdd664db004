// A map of cells on a canvas: colour, filter, hover, zoom and lasso. It draws the cells that it is given and
// asks for nothing; where they come from, a report or a server, is the caller's business (see cell_map.py).
"use strict";

const VIRIDIS = "#440154 #472d7b #3b528b #2c728e #21918c #28ae80 #5ec962 #addc30 #fde725".split(" ");
const SHADES = 64, MISSING = 0xffff, GREY = "#a6a6a6", REACH = 12, MARGIN = 14;

// Cells as cell_map.py packs them, with typed arrays in the place of base64.
function unpackCells(packed) {
  const layouts = packed.layouts.map((one) => ({ ...one, places: unpacked(one.places, Uint16Array) }));
  return { ...packed, layouts, columns: packed.columns.map(unpackColumn) };
}

const unpacked = (text, Kind) => new Kind(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer);
const unpackColumn = (one) => one.codes ? { ...one, codes: unpacked(one.codes, Uint16Array) }
  : { ...one, values: unpacked(one.values, Float32Array) };

function make(tag, properties = {}, ...inside) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...inside);
  return made;
}

const fine = () => window.devicePixelRatio || 1;
const shown = (number) => Number(number.toPrecision(3)).toLocaleString("en");
const valueOf = (one, i) => one.codes ? one.classes[one.codes[i]] ?? "(none)"
  : Number.isNaN(one.values[i]) ? "(none)" : shown(one.values[i]);

const rgb = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));

function shade(share) {
  const at = Math.min(share, 0.9999) * (VIRIDIS.length - 1), low = Math.floor(at), next = rgb(VIRIDIS[low + 1]);
  const mixed = rgb(VIRIDIS[low]).map((part, p) => Math.round(part + (at - low) * (next[p] - part)));
  return `#${mixed.map((part) => part.toString(16).padStart(2, "0")).join("")}`;
}

// How much of each pixel of a square a dot of a radius, in pixels, covers, 0 to 1; and the side of the square.
function coverage(radius) {
  const side = 2 * Math.ceil(radius) + 1, middle = (side - 1) / 2;
  const one = (_, at) => radius + 0.5 - Math.hypot((at % side) - middle, Math.floor(at / side) - middle);
  return [Float32Array.from({ length: side * side }, one).map((part) => Math.max(0, Math.min(1, part))), side];
}

// Draws `cells` into `host`. cells: {names, layouts: [{name, places}], columns}; places are x, y of each cell,
// 0 to 65535, y upwards. A column is {name, classes, colours, codes} or {name, least, most, values}.
// onselect(indices), where it is given, adds a lasso, and is called with the cells inside that are shown.
// Returns {add(column), colour(name), shown()}: add a column and colour by it, or by one that is there; the
// cells that no legend hides.
function cellMap(host, cells, { onselect = null } = {}) {
  const count = cells.names.length, columns = [...cells.columns];
  const state = { layout: cells.layouts.at(-1), column: null, zoom: 1, x: 0, y: 0, hovered: -1, lasso: null };
  const hidden = new Uint8Array(count), paint = new Uint16Array(count), order = shuffled(count);
  let inks = [], width = 1, height = 1, wide = 0, left = 0, high = 0, low = 0, waiting = 0;
  const ariaLabel = "Map of cells: arrows move it, plus and minus zoom, 0 shows all";
  const canvas = make("canvas", { tabIndex: 0, role: "img", ariaLabel });
  const pen = canvas.getContext("2d");
  const tip = make("div", { className: "map-tip", hidden: true });
  const legend = make("div", { className: "map-legend", tabIndex: 0, role: "group", ariaLabel: "Legend" });
  const amount = make("span", { className: "map-count", ariaLive: "polite" });
  const tools = make("div", { className: "map-tools" });
  const button = (words, title, onclick) => make("button", { type: "button", title, ariaLabel: title, onclick }, words);
  const colours = picker("Colour by", columns, (one) => colourBy(one));
  if (cells.layouts.length > 1) picker("Layout", cells.layouts, (one) => ((state.layout = one), redraw()), state.layout);
  const zoomIn = (factor) => zoomAt(width / 2, height / 2, factor);
  tools.append(button("+", "Zoom in", () => zoomIn(1.5)), button("−", "Zoom out", () => zoomIn(1 / 1.5)),
    button("Show all", "Show all cells, none hidden", reset));
  const lasso = onselect && button("Lasso", "Draw around cells to select them", () =>
    (lasso.ariaPressed = (state.lasso = state.lasso ? null : []) !== null));
  tools.append(...(lasso ? [lasso] : []), amount);
  host.replaceChildren(tools, make("div", { className: "map-body" },
    make("div", { className: "map-canvas" }, canvas, tip), legend));

  function picker(words, choices, chosen, first = choices[0]) {
    const select = make("select", { onchange: () => chosen(choices[select.value]) });
    const fill = () => select.replaceChildren(...choices.map((one, at) => make("option", { value: at }, one.name)));
    fill();
    select.value = choices.indexOf(first);
    tools.append(make("label", {}, `${words} `, select));
    return { select, fill };
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
    const ramp = (_, at) => shade(at / (SHADES - 1));
    inks = [...(one.colours ?? Array.from({ length: SHADES }, ramp)), GREY];
    if (one.codes) {
      for (let i = 0; i < count; i++) paint[i] = Math.min(one.codes[i], one.classes.length);
    } else {
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
      const row = make("button", { type: "button", className: "map-class", title: name },
        make("i", { style: `background: ${inks[at]}` }), make("span", {}, name),
        make("b", {}, counts[at].toLocaleString("en")));
      row.mark = () => (row.ariaPressed = !one.off.has(code));
      row.onclick = () => {
        if (!one.off.delete(code)) one.off.add(code);
        row.mark();
        filter();
      };
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
    const bar = make("div", { className: "map-scale", style: `background: linear-gradient(90deg, ${VIRIDIS})` });
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

  // Where a cell is on the canvas as it was last drawn.
  const place = (i) => [state.layout.places[2 * i] * wide + left, state.layout.places[2 * i + 1] * high + low];

  function redraw() {
    waiting ||= requestAnimationFrame(draw);
  }

  function draw() {
    waiting = 0;
    pen.setTransform(fine(), 0, 0, fine(), 0, 0);
    [wide, left] = [((width - 2 * MARGIN) / 65535) * state.zoom, MARGIN * state.zoom + state.x];
    [high, low] = [((2 * MARGIN - height) / 65535) * state.zoom, (height - MARGIN) * state.zoom + state.y];
    const size = Math.max(2, Math.min(8, 300 / Math.sqrt(count))) * Math.min(2.5, Math.sqrt(state.zoom));
    drawDots((size / 2) * fine());
    Object.assign(pen, { strokeStyle: getComputedStyle(canvas).color, lineWidth: 1.5 });
    pen.beginPath();
    if (state.hovered >= 0) pen.arc(...place(state.hovered), size / 2 + 2, 0, 2 * Math.PI);
    pen.stroke();
    if (state.lasso?.length) pen.stroke(new Path2D(`M${state.lasso.join("L")}`));
  }

  // Pixel by pixel: that is many times faster than paths where no graphics card helps.
  function drawDots(radius) {
    const { width: across, height: down } = canvas, image = pen.createImageData(across, down), { data } = image;
    const [mask, side] = coverage(radius), colourOf = inks.map(rgb), scale = fine(), half = (side - 1) / 2;
    for (const i of order) {
      if (hidden[i]) continue;
      const ink = colourOf[paint[i]], [x, y] = place(i);
      const startX = Math.floor(x * scale) - half, startY = Math.floor(y * scale) - half;
      for (let at = 0; at < mask.length; at++) {
        const px = startX + (at % side), py = startY + Math.floor(at / side);
        if (!mask[at] || px < 0 || py < 0 || px >= across || py >= down) continue;
        const to = 4 * (py * across + px), part = data[to + 3] ? mask[at] : 1;
        for (let c = 0; c < 3; c++) data[to + c] += (ink[c] - data[to + c]) * part;
        data[to + 3] = Math.max(data[to + 3], 255 * mask[at]);
      }
    }
    pen.putImageData(image, 0, 0);
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
    if ("+=-".includes(event.key)) zoomIn(event.key === "-" ? 1 / 1.5 : 1.5);
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
    shown: () => [...cells.names.keys()].filter((i) => !hidden[i]),
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
