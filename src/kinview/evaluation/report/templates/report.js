// Tables sort by a click on a heading, and one field hides the rows that do not match; all of it can be read without.
(() => {
  const tables = [...document.querySelectorAll("table.sorts")];
  const number = (text) => {
    const found = text.replace(/\u2212/g, "-").match(/[+-]?(\d+\.?\d*|\.\d+)/);
    return found ? Number(found[0]) : Infinity;
  };
  const compare = (a, b) => {
    const [x, y] = [number(a), number(b)];
    return x === y ? a.localeCompare(b) : x < y ? -1 : 1;
  };
  const sort = (table, head, column) => {
    const up = head.getAttribute("aria-sort") === "descending" || (column === 0 && !head.hasAttribute("aria-sort"));
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    const text = (row) => row.cells[column].textContent.trim();
    const order = column === 0 ? (a, b) => a.localeCompare(b) : compare;
    for (const body of table.tBodies) {
      const rows = [...body.rows].filter((row) => !row.classList.contains("group"));
      const empty = (row) => text(row) === "" || text(row) === "\u2013";
      const full = rows.filter((row) => !empty(row)).sort((a, b) => order(text(a), text(b)));
      body.append(...(up ? full : full.reverse()), ...rows.filter(empty));
    }
  };
  for (const table of tables) {
    [...table.tHead.rows[0].cells].forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      button.addEventListener("click", () => sort(table, head, column));
      head.append(button);
    });
  }
  const field = document.createElement("input");
  field.type = "search";
  field.addEventListener("input", () => {
    const wanted = field.value.trim().toLowerCase();
    const matches = (element) => element.textContent.toLowerCase().includes(wanted);
    for (const body of tables.flatMap((table) => [...table.tBodies])) {
      const group = body.querySelector(".group");
      const whole = !wanted || (group && matches(group));
      const rows = [...body.rows].filter((row) => row !== group);
      for (const row of rows) row.hidden = !whole && ![...row.cells].some((cell) => !cell.matches(".number") && matches(cell));
      if (group) group.hidden = rows.every((row) => row.hidden);
    }
  });
  const label = document.createElement("label");
  label.className = "filter";
  label.append("Only rows with", field);
  document.querySelector("header").append(label);
})();
