"use strict";
// Tables sort by any column; examples are filtered. Without scripts the page shows everything in order.
function valueOf(row, column) {
  const cell = row.cells[column];
  if (!cell) return NaN;
  if (cell.dataset.value) return parseFloat(cell.dataset.value);
  const parts = [...cell.childNodes].filter((part) => part.nodeName !== "SMALL");
  const text = parts.map((part) => part.textContent).join("").trim();
  const number = parseFloat(text.replace(/\u2212/g, "-").replace(/^\+/, ""));
  return cell.tagName === "TH" || cell.classList.contains("text") ? text : number;
}
function compare(one, other) {
  if (typeof one === "string" && typeof other === "string") return one.localeCompare(other, "en");
  return one - other;
}
function sort(table, column, down) {
  for (const body of table.tBodies) {
    const rows = [...body.rows], moved = rows.filter((row) => !row.classList.contains("group"));
    const empty = (row) => Number.isNaN(valueOf(row, column));  // without a number: last either way
    const full = moved.filter((row) => !empty(row));
    full.sort((a, b) => (down ? -1 : 1) * compare(valueOf(a, column), valueOf(b, column)));
    body.append(...rows.filter((row) => row.classList.contains("group")), ...full, ...moved.filter(empty));
  }
  [...table.tHead.rows[0].cells].forEach((head, place) => {
    if (place === column) head.setAttribute("aria-sort", down ? "descending" : "ascending");
    else head.removeAttribute("aria-sort");
  });
}
for (const table of document.querySelectorAll("table")) {
  if (!table.tHead || table.tHead.rows.length !== 1) continue;
  [...table.tHead.rows[0].cells].forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "sort";
    button.setAttribute("aria-label", "sort by " + head.textContent.trim().replace(/\s+/g, " "));
    button.addEventListener("click", () => sort(table, column, head.getAttribute("aria-sort") === "ascending"));
    head.append(button);
  });
}
for (const form of document.querySelectorAll("form.filter")) {
  const items = [...document.getElementById(form.getAttribute("data-of")).children];
  const said = form.querySelector("[role=status]");
  const show = () => {
    const { dataset, arm } = form.elements;
    for (const item of items) {
      item.hidden = !((!dataset.value || item.dataset.dataset === dataset.value)
        && (!arm.value || item.dataset.arms.split(" ").includes(arm.value)));
    }
    said.textContent = items.filter((item) => !item.hidden).length + " of " + items.length + " shown";
  };
  form.addEventListener("input", show);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.hidden = false;
  show();
}
