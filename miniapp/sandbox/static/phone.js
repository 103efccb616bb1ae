// One phone: chat with its menu, payment code with the password box, scanning of slips.
"use strict";

document.addEventListener("DOMContentLoaded", () => {
  const { call, element, every, openPage, say } = sandbox;
  const phone = document.querySelector(".phone");
  const { person, platform } = phone.dataset;
  const who = `person=${encodeURIComponent(person)}&platform=${platform}`;
  const api = (path) => `/phone/api/${path}${path.includes("?") ? "&" : "?"}${who}`;
  const open = (url) => openPage(url, person);

  // tabs
  const tabs = phone.querySelectorAll("[data-tab]");
  const showTab = (name) => {
    for (const tab of tabs) tab.toggleAttribute("aria-current", tab.dataset.tab === name);
    for (const screen of phone.querySelectorAll("[data-screen]")) screen.hidden = screen.dataset.screen !== name;
    if (name === "wallet" && !code) newCode();
    if (name === "scan") showSlips();
  };
  for (const tab of tabs) tab.addEventListener("click", () => showTab(tab.dataset.tab));

  // chat
  const log = phone.querySelector(".messages");
  let last = 0;
  const link = (url, text) => {
    const made = element("a", { href: url, target: `page-${person}` }, text);
    made.addEventListener("click", (event) => { event.preventDefault(); open(url); });
    return made;
  };
  const card = (message) => {
    const made = element("div", { className: "message-card" }, element("strong", {}, message.title));
    if (message.picture) made.append(element("img", { src: message.picture, alt: "" }));
    if (message.rows.length) {
      const rows = element("dl");
      for (const [label, value] of message.rows) rows.append(element("dt", {}, label), element("dd", {}, value));
      made.append(rows);
    }
    if (message.text) made.append(element("p", {}, message.text));
    if (message.url) { const to = link(message.url, "查看详情"); to.className = "card-link"; made.append(to); }
    return made;
  };
  const bubble = (message) => {
    if (message.kind === "card") return card(message);
    if (message.kind === "picture") {
      const picture = element("img", { src: message.picture, alt: "图片消息", className: "message-picture" });
      const to = element("a", { href: message.picture, target: "_blank" }, picture);
      return element("div", { className: "bubble picture" }, to);
    }
    const made = element("div", { className: "bubble" });
    for (const [text, url] of message.parts) made.append(url ? link(url, text) : text);
    return made;
  };
  const add = (message) => {
    if (message.kind === "line") {
      log.append(element("p", { className: "line" }, message.text));
      return;
    }
    const row = element("div", { className: `message ${message.from}`, title: message.time }, bubble(message));
    log.append(row);
  };
  const read = async () => {
    const news = await call(api(`messages?after=${last}`));
    if (news.last === last) return;
    last = news.last;
    const wasAtEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 120;
    news.messages.forEach(add);
    if (wasAtEnd || news.messages.some((one) => one.from === "me")) log.scrollTop = log.scrollHeight;
    for (const picture of log.querySelectorAll("img")) picture.onload = () => { log.scrollTop = log.scrollHeight; };
  };
  every(1200, read);

  const send = async (path, body) => {
    try { await call(api(path), body); } catch { say("沙箱没有收到"); }
    await read();
  };
  const composer = phone.querySelector(".composer");
  composer.addEventListener("submit", (event) => {
    event.preventDefault();
    const text = composer.text.value.trim();
    composer.text.value = "";
    if (text) send("say", { text });
  });
  for (const chip of document.querySelectorAll("[data-say]")) {
    chip.addEventListener("click", () => { showTab("chat"); send("say", { text: chip.dataset.say }); });
  }
  for (const button of document.querySelectorAll("[data-follow]")) {
    button.addEventListener("click", () => send("follow", { on: button.dataset.follow === "on" }));
  }

  // the account's menu
  const menu = phone.querySelector(".menu");
  const pop = phone.querySelector(".menu-pop");
  const swap = (toMenu) => { menu.hidden = !toMenu; composer.hidden = toMenu; pop.hidden = true; };
  for (const button of phone.querySelectorAll("[data-swap]")) {
    button.addEventListener("click", () => swap(button.dataset.swap === "menu"));
  }
  const press = (button) => {
    pop.hidden = true;
    if (button.url) open(button.url);
    else send("click", { key: button.key });
  };
  let shownMenu = "";
  const showMenu = async () => {
    const buttons = await call(api("menu"));
    if (JSON.stringify(buttons) === shownMenu) return;
    shownMenu = JSON.stringify(buttons);
    const row = phone.querySelector(".menu-buttons");
    row.replaceChildren();
    for (const button of buttons) {
      const made = element("button", { type: "button" }, button.children ? `≡ ${button.name}` : button.name);
      made.addEventListener("click", () => {
        if (!button.children) { press(button); return; }
        const again = !pop.hidden && pop.dataset.of === button.name;
        pop.replaceChildren();
        pop.dataset.of = button.name;
        for (const child of button.children) {
          const choice = element("button", { type: "button" }, child.name);
          choice.addEventListener("click", () => press(child));
          pop.append(choice);
        }
        pop.hidden = again;
      });
      row.append(made);
    }
    if (!buttons.length) row.append(element("span", { className: "hint" }, "这个号还没有菜单"));
  };
  every(4000, showMenu);

  // payment code
  const sheet = phone.querySelector(".sheet");
  const plan = document.querySelector("#plan");
  let code = "";
  let codeAt = 0;
  const newCode = async () => {
    const made = await call(api("code"), { plan: plan ? plan.value : "paid" });
    code = made.code;
    codeAt = Date.now();
    phone.querySelector(".code-bars").innerHTML = made.bars;
    phone.querySelector(".code-square").innerHTML = made.square;
    phone.querySelector(".code-number").textContent = code.replace(/(\d{4})(?=\d)/g, "$1 ");
    phone.querySelector(".code-number").dataset.code = code;
  };
  phone.querySelector('[data-do="refresh"]').addEventListener("click", newCode);
  if (plan) plan.addEventListener("change", () => { if (code) newCode(); });

  let seenBills = "";
  const wallet = async () => {
    const now = await call(api(`wallet?code=${code}`));
    const isShown = !phone.querySelector('[data-screen="wallet"]').hidden;
    if (code && (now.used || Date.now() - codeAt > 58000)) {
      if (now.used && plan) plan.value = "paid";
      if (isShown) await newCode(); else code = "";
    }
    sheet.hidden = !now.waiting;
    if (now.waiting) {
      sheet.querySelector(".sheet-subject").textContent = now.waiting.subject;
      sheet.querySelector(".sheet-amount").textContent = `¥${now.waiting.paid_yuan}`;
      sheet.dataset.payment = now.waiting.id;
    }
    const bills = JSON.stringify(now.bills);
    if (bills === seenBills) return;
    const newest = now.bills[0];
    if (seenBills && newest && newest.state === "paid") say(`已付款 ¥${newest.paid_yuan}`);
    seenBills = bills;
    if (!now.bills.length) return;
    const list = phone.querySelector(".bills");
    list.replaceChildren(...now.bills.map((bill) => element("li", { className: bill.state },
      element("span", { className: "bill-subject" }, bill.subject),
      element("b", {}, `¥${bill.paid_yuan}`),
      element("span", { className: "hint" }, `${bill.time} ${bill.words}`),
      element("span", { className: "hint number" }, `交易单号 ${bill.trade_no}`),
      element("span", { className: "hint number" }, `商户单号 ${bill.out_trade_no}`))));
  };
  every(1500, wallet);
  for (const button of sheet.querySelectorAll("[data-answer]")) {
    button.addEventListener("click", async () => {
      await call(api("answer"), { payment: Number(sheet.dataset.payment), accept: button.dataset.answer === "yes" });
      await wallet();
    });
  }

  // scanning
  const showSlips = async () => {
    const slips = await call(api("slips"));
    if (!slips.length) return;
    phone.querySelector(".slips").replaceChildren(...slips.map((slip) => {
      const button = element("button", { type: "button" }, element("b", {}, slip.text),
        element("span", { className: "hint" }, `${slip.time} · 领取码 ${slip.claim_code}`));
      button.addEventListener("click", () => open(slip.url));
      return element("li", {}, button);
    }));
  };
  const paste = phone.querySelector(".paste");
  paste.addEventListener("submit", async (event) => {
    event.preventDefault();
    const { url } = await call(api("open"), { url: paste.url.value });
    if (url) open(url);
    else say("这不是网址");
  });
});
