// The page of `scm explore`: it asks its own server for cells, columns and genes, and sends selections back.
"use strict";

const MAX_ROWS = 200, MAX_TITLES = 30;
const at = (id) => document.getElementById(id);
const [find, keep, by] = [at("find"), at("keep"), at("by")];
let cells, map, chosen = [];

function say(words, wrong = false) {
  at("said").textContent = words;
  at("said").className = wrong ? "wrong" : "";
}

async function ask(path, options) {
  const response = await fetch(path, options);
  const body = await response.json();
  if (!response.ok) throw new Error(`${body.found}: ${body.mend}`);
  return body;
}

// What a button does, with what went wrong told on the page.
const withErrors = (act) => async (event) => {
  event?.preventDefault();
  try {
    await act();
  } catch (error) {
    say(error.message, true);
  }
};

// Titles that hold the words, those that begin with them first; a column before a gene.
function found(words, most) {
  const sought = words.trim().toLowerCase();
  const rank = (title) => title === words.trim() ? 0 : title.toLowerCase() === sought ? 1
    : title.toLowerCase().startsWith(`${sought} (`) ? 2 : title.toLowerCase().startsWith(sought) ? 3
    : title.toLowerCase().includes(sought) ? 4 : 5;
  const ranked = [...cells.titles, ...cells.genes].map((title, place) => [rank(title), place, title]);
  const good = ranked.filter(([own]) => own < 5).sort((one, other) => one[0] - other[0] || one[1] - other[1]);
  return good.slice(0, most).map(([, place, title]) => [title, place - cells.titles.length]);
}

function add(packed) {
  const column = unpackColumn(packed), there = cells.columns.findIndex((one) => one.name === column.name);
  cells.columns.splice(there < 0 ? cells.columns.length : there, 1, column);
  map.add(column);
  fillCounts();
  show(chosen);
}

async function colour() {
  const [first] = found(find.title.value, 1);
  if (!first) throw new Error(`'${find.title.value}' is no column and no gene of this file`);
  const [title, gene] = first;
  const query = gene < 0 ? `column?${new URLSearchParams({ name: title })}`
    : `gene?${new URLSearchParams({ at: gene, matrix: find.matrix.value })}`;
  say(`${title} …`);
  const packed = await ask(query);
  add(packed);
  say(packed.said ? `${title}: ${packed.said}` : title);
}

function table(caption, head, rows) {
  const line = (tag, texts) => make("tr", {}, ...texts.map((text) => make(tag, {}, text)));
  const made = make("table", {}, make("caption", {}, caption), make("thead", {}, line("th", head)),
    make("tbody", {}, ...rows.map((row) => line("td", row))));
  return make("div", { className: "wide", tabIndex: 0, role: "group", ariaLabel: caption }, made);
}

function fillCounts() {
  const classed = cells.columns.filter((one) => one.codes), before = by.value;
  by.replaceChildren(...classed.map((one) => make("option", {}, one.name)));
  if (classed.some((one) => one.name === before)) by.value = before;
}

function show(indices) {
  chosen = indices;
  const all = cells.names.length.toLocaleString("en"), count = chosen.length.toLocaleString("en");
  at("amount").textContent = `${count} of ${all} cells selected`;
  const column = cells.columns.find((one) => one.codes && one.name === by.value), counts = new Map();
  for (const i of column ? chosen : []) counts.set(valueOf(column, i), (counts.get(valueOf(column, i)) ?? 0) + 1);
  const share = (own) => `${(100 * own / chosen.length).toFixed(1)}%`;
  const rows = [...counts].sort((one, other) => other[1] - one[1])
    .map(([name, own]) => [name, own.toLocaleString("en"), share(own)]);
  const first = chosen.slice(0, MAX_ROWS).map((i) => [cells.names[i], ...cells.columns.map((one) => valueOf(one, i))]);
  const caption = chosen.length > MAX_ROWS ? `The first ${MAX_ROWS} of ${count} cells` : "The cells";
  at("tables").replaceChildren(...(chosen.length ? [
    ...(column ? [table(`By ${column.name}`, [column.name, "cells", "of these"], rows)] : []),
    table(caption, ["cell", ...cells.columns.map((one) => one.name)], first)] : []));
}

async function write() {
  const given = { name: keep.name.value, value: keep.value.value, cells: chosen };
  const headers = { "Content-Type": "application/json" };
  const packed = await ask("selection", { method: "POST", headers, body: JSON.stringify(given) });
  if (!cells.titles.includes(packed.name)) cells.titles.push(packed.name);
  add(packed);
  say(`${chosen.length.toLocaleString("en")} cells written: obs["${packed.name}"] of ${cells.output}`);
}

function download() {
  const lines = chosen.map((i) => `"${cells.names[i].replaceAll('"', '""')}"`);
  const href = URL.createObjectURL(new Blob([["cell", ...lines, ""].join("\n")], { type: "text/csv" }));
  make("a", { href, download: "cells.csv" }).click();
  setTimeout(() => URL.revokeObjectURL(href), 60_000);
}

withErrors(async () => {
  say("reading the cells …");
  cells = unpackCells(await ask("cells"));
  map = cellMap(document.querySelector(".map-live"), cells, { onselect: show });
  find.matrix.replaceChildren(...cells.matrices.map((name) => make("option", {}, name)));
  fillCounts();
  find.title.addEventListener("input", () => at("titles").replaceChildren(
    ...found(find.title.value, MAX_TITLES).map(([value]) => make("option", { value }))));
  find.addEventListener("submit", withErrors(colour));
  keep.addEventListener("submit", withErrors(write));
  by.addEventListener("change", () => show(chosen));
  at("shown").addEventListener("click", () => show(map.shown()));
  at("names").addEventListener("click", download);
  say(`${cells.names.length.toLocaleString("en")} cells, ${cells.genes.length.toLocaleString("en")} genes`);
})();
