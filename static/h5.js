// What the customer's pages gain with scripts; each of them works without.
"use strict";

const yuan = (fen) => "¥" + (fen / 100).toFixed(2).replace(/\B(?=(\d{3})+\.)/g, ",");

// C2: count and add up; purchases of another company cannot be added.
function picking(form) {
  const boxes = [...form.querySelectorAll("input[name=p]")];
  const button = form.querySelector("[data-next]");
  if (!button) return;
  const show = () => {
    const chosen = boxes.filter((box) => box.checked);
    const sum = chosen.reduce((total, box) => total + Number(box.dataset.fen), 0);
    button.textContent = chosen.length ? `下一步（已选 ${chosen.length} 笔 ${yuan(sum)}）` : "下一步";
    const company = chosen.length ? chosen[0].closest("[data-company]") : null;
    for (const group of form.querySelectorAll("[data-company]")) {
      const other = company !== null && group !== company;
      const own = [...group.querySelectorAll("input[name=p]")];
      group.querySelector("[data-other]").hidden = !(other && own.length);
      for (const box of own) {
        box.disabled = other;
        box.closest(".pick").classList.toggle("is_other", other);
      }
    }
  };
  form.addEventListener("change", show);
  form.addEventListener("submit", (event) => {
    if (boxes.some((box) => box.checked)) return;
    event.preventDefault();
    button.textContent = "请先选择要开票的消费";
  });
  show();
}

// A second tap on a button sends nothing more; coming back by the back key makes it work again.
function once(form) {
  let sent = false;
  form.addEventListener("submit", (event) => {
    if (sent || !navigator.onLine) {
      event.preventDefault();
      if (!navigator.onLine) offline();
      return;
    }
    sent = true;
    for (const button of form.querySelectorAll("button")) button.setAttribute("aria-disabled", "true");
  });
}

function offline() {
  document.getElementById("offline").hidden = navigator.onLine;
}

// C7: asks every second at first, then less often; not while nobody looks.
function following(box) {
  const live = document.getElementById("live");
  const state = () => box.firstElementChild;
  let wait = 1000, since = Date.now(), timer = 0;
  const plan = () => {
    clearTimeout(timer);
    if (state().dataset.open === undefined || document.hidden) return;
    timer = setTimeout(ask, wait);
  };
  async function ask() {
    try {
      const answer = await fetch(box.dataset.src, { redirect: "manual", cache: "no-store" });
      if (answer.type === "opaqueredirect") return location.reload();
      if (answer.ok) put(await answer.text());
    } catch { /* no network now: the next turn asks again */ }
    if (Date.now() - since > 120000) wait = Math.min(15000, wait * 1.3);
    plan();
  }
  function put(text) {
    const made = new DOMParser().parseFromString(text, "text/html").body.firstElementChild;
    if (!made || made.innerHTML === state().innerHTML) return;
    const moved = made.dataset.state !== state().dataset.state;
    box.replaceChildren(made);
    if (!moved) return;
    live.textContent = made.dataset.words;
    wait = 1000;
    since = Date.now();
    const fold = document.querySelector("[data-while-open]");
    if (fold && !["waiting_reconciliation", "awaiting_confirmation"].includes(made.dataset.state)) fold.remove();
  }
  document.addEventListener("visibilitychange", () => {
    wait = 1000;
    since = Date.now();
    plan();
  });
  plan();
}

// C5: the taxpayer's number, counted while typing, judged when it is whole or left.
const USCC = "0123456789ABCDEFGHJKLMNPQRTUWXY";
const WEIGHTS = [1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28];

function isCode(text) {
  if (text.length !== 18 || [...text].some((one) => !USCC.includes(one))) return false;
  const total = WEIGHTS.reduce((sum, weight, place) => sum + weight * USCC.indexOf(text[place]), 0);
  return USCC[(31 - (total % 31)) % 31] === text[17];
}

function numbering(input) {
  const help = input.closest(".field").querySelector("[data-count]");
  const clean = () => input.value.normalize("NFKC").replace(/[\s-]/g, "").toUpperCase();
  const meant = (text) => text.replace(/O/g, "0").replace(/I/g, "1").replace(/Z/g, "2").replace(/S/g, "5");
  const say = (text, wrong) => {
    const line = document.createElement("span");
    line.textContent = text;
    line.className = wrong ? "wrong" : "";
    help.replaceChildren(line);
    input.closest(".field").classList.toggle("is_wrong", wrong);
  };
  const judge = () => {
    const text = clean();
    if (!text) return say("统一社会信用代码，18 位", false);
    if (![15, 17, 18, 20].includes(text.length)) return say(`税号应是 15、17、18 或 20 位，现在是 ${text.length} 位`, true);
    if (text.length !== 18 || isCode(text)) return say(text.length === 18 ? "18 位，校验通过" : `${text.length} 位`, false);
    if (/^[1-9]\d{16}[\dX]$/.test(text)) return say("18 位", false);
    say("没有通过校验，请对照营业执照核对", true);
    const other = meant(text);
    if (other === text || !isCode(other)) return;
    const offer = document.createElement("button");
    offer.type = "button";
    offer.textContent = `是不是 ${other}？`;
    offer.addEventListener("click", () => { input.value = other; judge(); input.focus(); });
    help.append(offer);
  };
  input.addEventListener("input", () => {
    const text = clean(), atEnd = input.selectionStart === input.value.length;
    if (atEnd && text !== input.value && !/\s$/.test(input.value)) input.value = text;
    if (text.length === 18) judge();
    else say(`已输入 ${text.length} 位`, false);
  });
  input.addEventListener("blur", () => {
    input.value = clean();
    judge();
  });
}

// C5: only the chosen kind is sent, both stay on the page; what is typed is kept on our side for a day.
function titling(form) {
  const number = form.querySelector("[name='company.taxpayer_no']");
  if (number) numbering(number);
  form.addEventListener("submit", () => {
    const personal = form.querySelector("#type-personal").checked;
    const idle = form.querySelector(personal ? ".sides__company" : ".sides__personal");
    for (const input of idle.querySelectorAll("input")) input.disabled = true;
  });
  if (!form.dataset.draft) return;
  let timer = 0;
  form.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(() => fetch(form.dataset.draft, { method: "POST", body: new FormData(form), redirect: "manual" }).catch(() => {}), 800);
  });
}

document.addEventListener("DOMContentLoaded", () => {
  document.querySelectorAll("[data-pick]").forEach(picking);
  document.querySelectorAll("[data-once]").forEach(once);
  document.querySelectorAll("[data-title]").forEach(titling);
  const progress = document.getElementById("progress");
  if (progress) following(progress);
  const first = document.querySelector("[data-focus]");
  if (first) first.focus();
  addEventListener("online", offline);
  addEventListener("offline", offline);
});

// Back from the request to its form: ask the server, which knows that it was sent.
addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload();
});
