"use strict";
// What a cell is sorted by: empty ones stand last in either direction.
function compare(x, y, direction) {
  if (x === "" || y === "") return (x === "") - (y === "");
  const numbers = !isNaN(Number(x)) && !isNaN(Number(y));
  return direction * (numbers ? Number(x) - Number(y) : x.localeCompare(y));
}
document.querySelectorAll("th button").forEach(button => button.addEventListener("click", () => {
  const head = button.closest("th"), body = head.closest("table").tBodies[0];
  const column = [...head.parentNode.children].indexOf(head);
  const down = head.getAttribute("aria-sort") !== "descending";
  const value = row => { const cell = row.children[column]; return cell.dataset.sort ?? cell.textContent.trim(); };
  const order = [...body.rows].sort((a, b) => compare(value(a), value(b), down ? -1 : 1));
  head.parentNode.querySelectorAll("[aria-sort]").forEach(other => other.setAttribute("aria-sort", "none"));
  head.setAttribute("aria-sort", down ? "descending" : "ascending");
  body.append(...order);
}));
document.getElementById("filter").addEventListener("input", event => {
  const wanted = event.target.value.toLowerCase();
  document.querySelectorAll(".runs tbody tr").forEach(row => {
    const words = [...row.querySelectorAll(".label, .stale")].map(cell => cell.textContent.toLowerCase());
    row.hidden = !words.some(word => word.includes(wanted));
  });
});
