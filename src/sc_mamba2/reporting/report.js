// What a report does when it is opened: maps of cells come alive, tables sort, long ones can be searched.
"use strict";

for (const host of document.querySelectorAll(".map")) {
  cellMap(host.querySelector(".map-live"), unpackCells(JSON.parse(host.querySelector("script").textContent)));
  host.classList.add("alive");
}

const FEW_ROWS = 12;
const number = (text) => (/^[-+–]?[\d.,]+%?( ±.*)?$/.test(text) ? parseFloat(text.replaceAll(",", "")) : NaN);

for (const table of document.querySelectorAll(".wide table")) {
  const body = table.tBodies[0], rows = [...body.rows];
  if (rows.length > FEW_ROWS) addSearch(table, rows);
  if (rows.length > 2) [...(table.tHead?.rows[0].cells ?? [])].forEach((head, at) => addSort(head, at, body, rows));
}

function addSearch(table, rows) {
  const field = make("input", { type: "search", placeholder: `Search ${rows.length.toLocaleString("en")} rows` });
  field.setAttribute("aria-label", `Search: ${table.caption.textContent}`);
  const found = make("span");
  found.setAttribute("aria-live", "polite");
  table.closest(".wide").before(make("div", { className: "search" }, field, found));
  field.addEventListener("input", () => {
    table.style.minWidth ||= `${table.offsetWidth}px`; // or columns would jump
    const words = field.value.toLowerCase();
    for (const row of rows) row.hidden = !row.textContent.toLowerCase().includes(words);
    found.textContent = words && `${rows.filter((row) => !row.hidden).length.toLocaleString("en")} found`;
  });
}

function addSort(head, at, body, rows) {
  const press = make("button", { type: "button", title: "Sort" }, ...head.childNodes);
  head.append(press);
  press.addEventListener("click", () => {
    const up = head.ariaSort === "descending";
    for (const other of head.parentElement.cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    const text = (row) => row.cells[at].textContent;
    const compare = (one, other) => {
      const [a, b] = [number(text(one)), number(text(other))];
      if (Number.isNaN(a) && Number.isNaN(b)) return text(other).localeCompare(text(one));
      return (Number.isNaN(b) ? -Infinity : b) - (Number.isNaN(a) ? -Infinity : a);
    };
    body.append(...rows.toSorted((one, other) => (up ? -1 : 1) * compare(one, other)));
  });
}
