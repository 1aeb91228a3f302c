"use strict";
// A page whose cards are not packed is whole without this: it only adds filtering, ordering and copying.
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
  const heads = table ? [...table.tHead.rows[0].cells] : [];
  const RANK = "SRIVNE";
  const sorting = { column: 0, down: true };

  function place(row) {
    const cell = row.cells[sorting.column].querySelector("b, .d");
    const rank = cell ? RANK.indexOf(cell.textContent.trim()[0]) : RANK.length;
    return sorting.down ? rank : RANK.length - rank;
  }

  function update() {
    const find = tools.elements.find.value.trim().toLowerCase();
    const verdict = tools.elements.verdict.value;
    const paper = tools.elements.paper ? tools.elements.paper.value : "";
    const order = tools.elements.order.value;
    let shown = 0;
    for (const row of rows) {
      const keep = text.get(row).includes(find) && (!verdict || row.dataset.marks.split(" ").includes(verdict))
        && (!paper || home.get(row).body.dataset.paper === paper);
      row.hidden = !keep;
      row.style.display = keep ? "" : "none";
      shown += keep;
    }
    const places = order === "column" ? new Map(rows.map((row) => [row, place(row)])) : null;
    const sorted = [...rows].sort((a, b) =>
      order === "name" ? a.dataset.name.localeCompare(b.dataset.name)
        : order === "verdict" ? a.dataset.rank - b.dataset.rank || home.get(a).index - home.get(b).index
          : order === "column" ? places.get(a) - places.get(b) || home.get(a).index - home.get(b).index
            : home.get(a).index - home.get(b).index);
    for (const row of sorted) (order ? bodies[0] : home.get(row).body).append(row);
    for (const body of bodies) {
      const head = body.querySelector(".paper-row");
      head.style.display = !order && body.querySelector(".claim-row:not([hidden])") ? "" : "none";
    }
    heads.forEach((head, index) => {
      if (order === "column" && index === sorting.column) head.setAttribute("aria-sort", sorting.down ? "ascending" : "descending");
      else head.removeAttribute("aria-sort");
    });
    tools.querySelector("output").textContent = shown === rows.length ? "" : `${shown} of ${rows.length} claims`;
  }

  function columns() {
    const find = tools.elements.subject.value.trim().toLowerCase();
    heads.forEach((head, index) => {
      if (!index || index === heads.length - 1) return;
      const away = !head.textContent.toLowerCase().includes(find);
      if (head.hidden === away) return;
      head.hidden = away;
      const column = table.querySelectorAll("col")[index];
      if (column) column.hidden = away;
      for (const row of rows) row.cells[index].hidden = away;
    });
  }

  if (tools && rows.length) {
    tools.hidden = false;
    tools.addEventListener("input", (event) => (event.target.name === "subject" ? columns() : update()));
    tools.addEventListener("submit", (event) => event.preventDefault());
    heads.forEach((head, index) => {
      if (!index || index === heads.length - 1) return;
      const name = head.querySelector("bdi");
      const button = document.createElement("button");
      button.type = "button";
      button.className = "sort";
      button.title = "Order by the verdicts of this column";
      name.replaceWith(button);
      button.append(name);
      button.addEventListener("click", () => {
        const again = tools.elements.order.value === "column" && sorting.column === index;
        if (again && !sorting.down) tools.elements.order.value = "";
        else {
          sorting.down = !again;
          sorting.column = index;
          tools.elements.order.value = "column";
        }
        update();
      });
    });
  }

  function copying(part) {
    for (const line of part.querySelectorAll(".rerun")) {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = "Copy";
      button.addEventListener("click", () => {
        const code = line.querySelector("code");
        const done = () => { button.textContent = "Copied"; setTimeout(() => { button.textContent = "Copy"; }, 1500); };
        const select = () => getSelection().selectAllChildren(code);
        if (navigator.clipboard) navigator.clipboard.writeText(code.textContent).then(done, select);
        else select();
      });
      line.append(button);
    }
  }
  copying(document);

  // Packed cards: a template holds the gzipped parts of one, its head first, then what is said of each subject.
  async function parts(template) {
    const bytes = Uint8Array.from(atob(template.content.textContent.trim()), (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return (await new Response(stream).text()).split("\0");
  }

  function fill(place, html) {
    place.innerHTML = html;  // made and escaped where this page was made
    copying(place);
  }

  const unpacked = new WeakMap();
  function unpack(card) {
    if (!unpacked.has(card)) {
      unpacked.set(card, parts(card.querySelector(":scope > template")).then(([head, ...bodies]) => {
        fill(card.querySelector(":scope > .unpacked"), head);
        [...card.querySelectorAll("details.result")].forEach((result, index) => {
          result.addEventListener("toggle", () => body(result, bodies[index]));
          if (bodies.length === 1) result.open = true;
        });
        card.bodies = bodies;
      }));
    }
    return unpacked.get(card);
  }

  function body(result, html) {
    const place = result.querySelector(":scope > .unpacked");
    if (result.open && !place.hasChildNodes()) fill(place, html);
  }

  for (const card of document.querySelectorAll("details.unpack")) {
    card.addEventListener("toggle", () => { if (card.open) unpack(card); });
    if (card.open) unpack(card);
  }

  // A link into a closed part opens it, and one into a packed card unpacks it first.
  async function open() {
    const id = location.hash.slice(1);
    if (!id) return;
    let target = document.getElementById(id);
    if (!target && !table) {
      await Promise.all([...document.querySelectorAll("details.unpack")].map(unpack));
      target = document.getElementById(id);
      if (target) target.scrollIntoView();
    } else if (!target) {
      const cell = table && [...table.querySelectorAll("a")].find((link) => link.hash === location.hash);
      const card = cell && document.getElementById(cell.closest("tr").dataset.card);
      const packed = card && card.querySelector("details.unpack");
      if (!packed) return;
      packed.open = true;
      await unpack(packed);
      target = document.getElementById(id);
      if (target) [...packed.querySelectorAll("details.result")].forEach((result, index) => {
        if (result === target) { result.open = true; body(result, packed.bodies[index]); }
      });
    }
    for (let node = target; node; node = node.parentElement) if (node.tagName === "DETAILS") node.open = true;
    const packed = target && target.querySelector(":scope > details.unpack");
    if (packed) packed.open = true;
    if (target && target.closest(".packed")) {
      target.scrollIntoView();
      const summary = target.querySelector("summary");
      if (summary) summary.focus({ preventScroll: true });
    }
  }
  addEventListener("hashchange", open);
  open();
})();
