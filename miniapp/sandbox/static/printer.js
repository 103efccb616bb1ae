// Printers: their switches, and the sheets that have come out.
"use strict";

document.addEventListener("DOMContentLoaded", () => {
  const { call, element, every } = sandbox;
  for (const printer of document.querySelectorAll(".printer")) {
    const name = printer.dataset.printer;
    let shown = "";

    const sheet = (job) => {
      const made = element("figure", { className: `sheet-of-paper ${job.state}` });
      for (let page = 0; page < job.pages; page += 1) {
        const picture = element("img", { src: `/printer/paper/${job.id}/${page}.png`, alt: `第 ${page + 1} 页` });
        made.append(element("a", { href: `/printer/paper/${job.id}.pdf`, target: "_blank" }, picture));
      }
      made.append(element("figcaption", {}, element("b", {}, job.words), ` ${job.time} · ${job.name}`));
      return made;
    };
    const show = (state) => {
      if (JSON.stringify(state) === shown) return;
      shown = JSON.stringify(state);
      printer.classList.toggle("is-bad", !state.ok);
      printer.querySelector("[data-words]").textContent = state.words;
      for (const button of printer.querySelectorAll("[data-switch]")) {
        button.setAttribute("aria-pressed", String(state.switches[button.dataset.switch]));
      }
      if (state.jobs.length) printer.querySelector(".tray").replaceChildren(...state.jobs.map(sheet));
    };
    for (const button of printer.querySelectorAll("[data-switch]")) {
      button.addEventListener("click", async () => {
        const on = button.getAttribute("aria-pressed") !== "true";
        show(await call("/printer/api/switch", { printer: name, switch: button.dataset.switch, on }));
      });
    }
    every(1500, async () => show(await call(`/printer/api/state?printer=${encodeURIComponent(name)}`)));
  }
});
