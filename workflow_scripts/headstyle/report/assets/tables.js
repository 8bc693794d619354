// Sorts a table by the column whose head is clicked; filters rows by the text in the field above.
"use strict";
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    head.querySelector("button").addEventListener("click", () => {
      const up = head.getAttribute("aria-sort") !== "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const numeric = head.classList.contains("number");
      const value = (row) => {
        const text = row.cells[column].textContent;
        return numeric ? parseFloat(text.replaceAll(",", "").replace("−", "-")) : text;
      };
      const rows = [...body.rows].map((row) => [value(row), row]);
      // Missing values stay at the end in both directions.
      rows.sort(([a], [b]) => {
        if (numeric) {
          if (isNaN(a) || isNaN(b)) return isNaN(a) - isNaN(b);
          return up ? a - b : b - a;
        }
        const order = a.localeCompare(b, undefined, { numeric: true });
        return up ? order : -order;
      });
      body.append(...rows.map(([, row]) => row));
    });
  });
}
for (const field of document.querySelectorAll("input.filter")) {
  field.addEventListener("input", () => {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const row of document.getElementById(field.dataset.table).tBodies[0].rows) {
      const text = [...row.cells].map((cell) => cell.textContent).join(" ").toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
    }
  });
}
