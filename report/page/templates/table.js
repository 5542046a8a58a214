"use strict";
(() => {
  const table = document.getElementById("summary");

  function sortTable(heading) {
    const column = heading.cellIndex;
    const first = heading.querySelector("button").dataset.first ?? "ascending";
    const other = first === "ascending" ? "descending" : "ascending";
    const direction = heading.getAttribute("aria-sort") === first ? other : first;
    for (const cell of heading.parentElement.cells) cell.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", direction);
    const sign = direction === "ascending" ? 1 : -1;
    const value = (row) => row.cells[column].dataset.value;
    const text = (row) => row.cells[column].textContent;
    const body = table.tBodies[0];
    body.append(...[...body.rows].sort((a, b) => {
      if (heading.classList.contains("text")) return sign * text(a).localeCompare(text(b));
      // Methods without the score stay below, whichever way it is sorted.
      if (value(a) === undefined || value(b) === undefined)
        return (value(a) === undefined) - (value(b) === undefined);
      return sign * (value(a) - value(b));
    }));
  }

  for (const heading of table.tHead.rows[0].cells)
    heading.addEventListener("click", () => sortTable(heading));
})();
