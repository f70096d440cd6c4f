"use strict";
// Pointing at a variant anywhere lights it up everywhere.
const holders = [...document.querySelectorAll("[data-variant]")];
const light = (variant) => {
  document.body.classList.toggle("chosen", variant !== null);
  for (const holder of holders) holder.classList.toggle("lit", holder.dataset.variant === variant);
};
for (const holder of holders) {
  holder.addEventListener("pointerenter", () => light(holder.dataset.variant));
  holder.addEventListener("pointerleave", () => light(null));
}
// A click on a heading sorts by it, a second one the other way round.
const table = document.getElementById("variants");
const headings = [...table.tHead.rows[0].cells];
const keyOf = (row, column) => {
  const text = row.cells[column].dataset.value;
  return text === "" ? null : Number.isNaN(Number(text)) ? text : Number(text);
};
const compare = (one, other) => {
  if (one === null || other === null) return (one === null) - (other === null);
  return typeof one === "number" && typeof other === "number" ? one - other : String(one).localeCompare(String(other));
};
headings.forEach((heading, column) => heading.addEventListener("click", () => {
  const rising = heading.getAttribute("aria-sort") !== "ascending";
  headings.forEach((other) => other.removeAttribute("aria-sort"));
  heading.setAttribute("aria-sort", rising ? "ascending" : "descending");
  const rows = [...table.tBodies[0].rows];
  rows.sort((one, other) => compare(keyOf(one, column), keyOf(other, column)) * (rising ? 1 : -1));
  table.tBodies[0].append(...rows);
}));
