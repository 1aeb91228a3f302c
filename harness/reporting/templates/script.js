"use strict";
// The page is whole without this: it only adds filtering, ordering and copying.
(() => {
  const tools = document.querySelector(".tools");
  const table = document.querySelector(".matrix");
  const bodies = table ? [...table.tBodies] : [];
  const rows = bodies.flatMap((body) => [...body.querySelectorAll(".claim-row")]);
  const home = new Map(rows.map((row, index) => [row, { body: row.parentNode, index }]));
  const text = new Map(rows.map((row) => {
    const paper = row.parentNode.querySelector(".paper-row").textContent;
    const subjects = [...row.querySelectorAll("td:not(.none) .on")].map((cell) => cell.textContent).join(" ");
    const name = row.querySelector("th").textContent;
    return [row, `${paper} ${name} ${row.dataset.name} ${subjects}`.toLowerCase()];
  }));

  function update() {
    const find = tools.elements.find.value.trim().toLowerCase();
    const verdict = tools.elements.verdict.value;
    const order = tools.elements.order.value;
    let shown = 0;
    for (const row of rows) {
      const keep = text.get(row).includes(find) && (!verdict || row.dataset.marks.split(" ").includes(verdict));
      row.hidden = !keep;
      row.style.display = keep ? "" : "none";
      shown += keep;
    }
    const sorted = [...rows].sort((a, b) =>
      order === "name" ? a.dataset.name.localeCompare(b.dataset.name)
        : order === "verdict" ? a.dataset.rank - b.dataset.rank || home.get(a).index - home.get(b).index
          : home.get(a).index - home.get(b).index);
    for (const row of sorted) (order ? bodies[0] : home.get(row).body).append(row);
    for (const body of bodies) {
      const head = body.querySelector(".paper-row");
      head.style.display = !order && body.querySelector(".claim-row:not([hidden])") ? "" : "none";
    }
    tools.querySelector("output").textContent = shown === rows.length ? "" : `${shown} of ${rows.length} claims`;
  }

  if (tools && rows.length) {
    tools.hidden = false;
    tools.addEventListener("input", update);
    tools.addEventListener("submit", (event) => event.preventDefault());
  }

  for (const line of document.querySelectorAll(".rerun")) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = "Copy";
    button.addEventListener("click", () => {
      const code = line.querySelector("code");
      const done = () => { button.textContent = "Copied"; setTimeout(() => { button.textContent = "Copy"; }, 1500); };
      navigator.clipboard.writeText(code.textContent).then(done, () => getSelection().selectAllChildren(code));
    });
    line.append(button);
  }

  // A link into a closed part opens it.
  const open = () => {
    const target = location.hash && document.getElementById(location.hash.slice(1));
    for (let node = target; node; node = node.parentElement) if (node.tagName === "DETAILS") node.open = true;
  };
  addEventListener("hashchange", open);
  open();
})();
