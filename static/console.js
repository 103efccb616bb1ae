// The pages work without this. It keeps the place in a list, warns before the session ends, and stops double sends.
(() => {
  "use strict";

  // A row opens beside the list without losing the place.
  const open = async (address, push) => {
    const answer = await fetch(address, { headers: { "X-Requested-With": "aside" } });
    if (!answer.ok || answer.redirected) { location.assign(address); return; }
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const [now, next] = [document.getElementById("main"), page.getElementById("main")];
    if (!next) { location.assign(address); return; }
    const place = now.querySelector(".box")?.scrollTop ?? 0;
    now.className = next.className;
    now.replaceChildren(...next.childNodes);
    const box = now.querySelector(".box");
    if (box) box.scrollTop = place;
    document.title = page.title;
    if (push) history.pushState({ aside: true }, "", address);
    now.querySelector(".aside h2")?.focus({ preventScroll: true });
  };
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-aside]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
    event.preventDefault();
    open(link.href, true);
  });
  addEventListener("popstate", () => open(location.href, false));

  // The menu is open beside the page and folded above it.
  const menu = document.querySelector(".menu");
  if (menu && matchMedia("(max-width: 54rem)").matches) menu.open = false;

  // A filter applies when it is chosen.
  document.addEventListener("change", (event) => {
    if (event.target.matches("select[data-apply]")) event.target.form.requestSubmit();
  });

  // One press, one send.
  document.addEventListener("submit", (event) => {
    if (event.target.method !== "post") return;
    if (event.target.dataset.sent) { event.preventDefault(); return; }
    event.target.dataset.sent = "1";
    setTimeout(() => { delete event.target.dataset.sent; }, 5000);
  });

  // Two minutes before the session ends it says so; after the end the page and what is typed in it stay.
  const minutes = Number(document.body.dataset.idleMinutes);
  const box = document.getElementById("idle");
  if (!minutes || !box) return;
  const [words, stay, login] = ["idle-words", "idle-stay", "idle-login"].map((id) => document.getElementById(id));
  let timers = [];
  const begin = () => {
    timers.forEach(clearTimeout);
    box.hidden = true;
    timers = [
      setTimeout(() => { words.textContent = words.dataset.warn; stay.hidden = false; login.hidden = true; box.hidden = false; }, (minutes - 2) * 60000),
      setTimeout(() => { words.textContent = words.dataset.over; stay.hidden = true; login.hidden = false; box.hidden = false; }, minutes * 60000),
    ];
  };
  stay.addEventListener("click", async () => {
    const answer = await fetch(box.dataset.stay, { method: "POST", redirect: "manual", headers: { "X-CSRFToken": box.dataset.token } });
    if (answer.status === 204) begin();
  });
  begin();
})();
