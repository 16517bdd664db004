// What every report must keep, as a list of what does not: language, headings, tables, pictures,
// contrast (WCAG 2.1 AA), keyboard, and a page that is no wider than its window.
() => {
  const faults = [];
  const hold = (truth, words) => truth || faults.push(words);
  const all = (selector) => [...document.querySelectorAll(selector)];

  hold(document.documentElement.lang === "en", "the page has no language");
  hold(document.title.length > 3, "the page has no title");
  hold(all("main").length === 1, "there is not one main part");
  hold(document.documentElement.scrollWidth <= innerWidth, "the page is wider than its window");

  const levels = all("h1, h2, h3, h4, h5, h6").map((heading) => Number(heading.tagName[1]));
  hold(levels[0] === 1 && levels.filter((level) => level === 1).length === 1, "not one first heading");
  levels.forEach((level, at) => hold(at === 0 || level - levels[at - 1] <= 1, `heading ${at} skips a level`));

  hold(all("table").length > 2, "there are no tables");
  for (const table of all("table")) {
    const caption = table.caption?.innerText.trim() ?? "";
    hold(caption.length > 3, `a table has no caption: ${table.innerText.slice(0, 40)}`);
    for (const cell of table.querySelectorAll("th")) {
      hold(["col", "row"].includes(cell.scope), `a heading of a table has no scope: ${cell.innerText}`);
    }
    for (const row of table.tBodies[0].rows) {
      hold(row.cells[0].scope === "row", `a row has no heading: ${row.innerText}`);
    }
  }

  hold(all("img").length > 1, "there are no pictures");
  for (const image of all("img")) {
    hold(image.alt.trim().length > 10, "a picture is not described");
    hold(image.complete && image.naturalWidth > 100, `a picture is not shown: ${image.alt}`);
    hold(image.width >= 0.75 * 0.72 * image.naturalWidth, `a picture is too small to read: ${image.alt}`);
  }

  const rgb = (colour) => colour.match(/[\d.]+/g).map(Number);
  const ground = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const [r, g, b, alpha = 1] = rgb(getComputedStyle(at).backgroundColor);
      if (alpha > 0.99) return [r, g, b];
    }
    return [255, 255, 255];
  };
  const luminance = (colour) => {
    const [r, g, b] = colour.slice(0, 3).map((part) => {
      const share = part / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrast = (one, other) => {
    const [low, high] = [luminance(one), luminance(other)].sort((a, b) => a - b);
    return (high + 0.05) / (low + 0.05);
  };
  for (const element of all("body *")) {
    const written = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (!written) continue;
    const found = contrast(rgb(getComputedStyle(element).color), ground(element));
    hold(found >= 4.5, `contrast of ${found.toFixed(1)}: ${element.innerText.slice(0, 40)}`);
  }
  // Figures are drawn in dark ink: what lies behind them must be light, on a dark page too.
  for (const frame of all(".picture")) hold(luminance(ground(frame)) > 0.8, "a picture lies on the dark");

  for (const box of all("body *")) {
    const style = getComputedStyle(box);
    const scrolls = /auto|scroll/.test(style.overflowX + style.overflowY);
    const more = box.scrollWidth > box.clientWidth || box.scrollHeight > box.clientHeight;
    hold(!(scrolls && more) || box.tabIndex === 0, `no key scrolls: ${box.innerText.slice(0, 40)}`);
  }
  return faults;
}
