// The till: goods, amount, payment code, the slip that comes out, refunds.
"use strict";

document.addEventListener("DOMContentLoaded", () => {
  const { call, element, every, say } = sandbox;
  const choice = document.querySelector("#till-choice");
  if (!choice) return;
  const amount = document.querySelector("#amount");
  const code = document.querySelector("#code");
  const charge = document.querySelector("#charge");
  const said = document.querySelector(".said");
  const slip = document.querySelector(".slip");
  let cart = [];
  let following = "";

  const fen = () => {
    const text = amount.value.trim();
    if (!/^\d{1,6}(\.\d{1,2})?$/.test(text)) return 0;
    const [yuan, rest = ""] = text.split(".");
    return Number(yuan) * 100 + Number(rest.padEnd(2, "0"));
  };
  const yuan = (value) => `${Math.floor(value / 100)}.${String(value % 100).padStart(2, "0")}`;

  // goods
  const showCart = () => {
    const total = cart.reduce((sum, line) => sum + line.amount_fen, 0);
    document.querySelector(".cart").replaceChildren(...cart.map((line, at) => {
      const away = element("button", { type: "button", title: "去掉" }, "×");
      away.addEventListener("click", () => { cart.splice(at, 1); showCart(); });
      return element("li", {}, element("span", {}, line.name), element("span", {}, `¥${yuan(line.amount_fen)}`), away);
    }));
    amount.value = cart.length ? yuan(total) : "";
  };
  const showGoods = () => {
    cart = [];
    showCart();
    const onlyReports = choice.selectedOptions[0].dataset.cards === "only";
    document.querySelector(".charging").hidden = onlyReports;
    document.querySelector(".reporting").hidden = !onlyReports;
    const goods = JSON.parse(choice.selectedOptions[0].dataset.goods || "[]");
    document.querySelector(".goods").replaceChildren(...goods.map((one) => {
      const button = element("button", { type: "button" }, element("b", {}, one.name), `¥${yuan(one.price_fen)}`);
      button.addEventListener("click", () => {
        const line = { name: one.name, quantity: "1.000", unit: one.unit || "", amount_fen: one.price_fen };
        if (one.tax_category_code) Object.assign(line, { tax_category_code: one.tax_category_code, tax_rate: one.tax_rate });
        cart.push(line);
        showCart();
      });
      return button;
    }));
    showSales();
  };
  choice.addEventListener("change", showGoods);
  amount.addEventListener("input", () => {
    cart = [];
    document.querySelector(".cart").replaceChildren();
  });

  // the slip
  const showSlip = (sale) => {
    if (!sale.slip) return;
    const paper = element("div", { className: "paper" }, element("pre", {}, sale.slip.lines.join("\n")));
    if (sale.slip.qr_png_base64) {
      paper.append(element("img", { src: `data:image/png;base64,${sale.slip.qr_png_base64}`, alt: "小票二维码" }));
    }
    paper.append(element("p", { className: "claim" }, "领取码 ", element("b", {}, sale.slip.claim_code)));
    paper.append(element("p", { className: "hint" }, "手机“扫一扫”里也能扫到这张小票"));
    slip.replaceChildren(paper);
  };
  const beep = () => {
    try {
      const audio = new AudioContext();
      const tone = audio.createOscillator();
      const volume = audio.createGain();
      volume.gain.value = 0.08;
      tone.frequency.value = 1760;
      tone.connect(volume).connect(audio.destination);
      tone.start();
      tone.stop(audio.currentTime + 0.12);
    } catch { /* a browser without sound */ }
  };

  // charging
  const tell = (sale) => {
    said.className = `said ${sale.state}`;
    const more = sale.message && !sale.message.startsWith(sale.words) ? ` · ${sale.message}` : "";
    said.textContent = `${sale.words} ¥${sale.yuan}${more}`;
  };
  const settle = (sale) => {
    tell(sale);
    const before = following;
    following = ["paying", "unknown"].includes(sale.state) ? sale.out_trade_no : "";
    charge.disabled = sale.state === "paying";
    if (sale.state === "paid") { showSlip(sale); cart = []; showCart(); code.value = ""; }
    if (!following || following !== before) showSales();
  };
  for (const button of document.querySelectorAll("[data-scan]")) {
    button.addEventListener("click", async () => {
      code.value = (await call("/till/api/scan", { person: button.dataset.scan })).code;
      beep();
    });
  }
  charge.addEventListener("click", async () => {
    if (!fen()) { say("请先点商品，或输入金额"); amount.focus(); return; }
    if (!code.value.trim()) { say("请扫付款码"); code.focus(); return; }
    charge.disabled = true;
    said.textContent = "正在收款……";
    try {
      settle(await call("/till/api/charges", {
        till: choice.value, amount_fen: fen(), lines: cart, code: code.value.replace(/\s/g, ""),
      }));
      beep();
    } catch { said.textContent = "沙箱没有应答"; charge.disabled = false; }
  });
  every(1500, async () => { if (following) settle(await call(`/till/api/charges/${following}`)); });

  document.querySelector("#report").addEventListener("click", async () => {
    if (!fen()) { say("请先输入金额"); amount.focus(); return; }
    const sale = await call("/till/api/reports", { till: choice.value, platform: "unionpay", amount_fen: fen() });
    tell(sale);
    showSlip(sale);
    showSales();
  });

  // sales so far
  const refund = async (sale, refundFen) => {
    const done = await call("/till/api/refunds", { out_trade_no: sale.out_trade_no, refund_fen: refundFen });
    say(done.message);
    showSales();
  };
  const refundForm = (sale) => {
    const field = element("input", { value: yuan(sale.left_fen), inputMode: "decimal", ariaLabel: "退款金额" });
    const form = element("form", { className: "refund", hidden: true }, field, element("button", { className: "plain small" }, "确认退款"));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const [whole, rest = ""] = field.value.trim().split(".");
      const value = Number(whole) * 100 + Number(rest.padEnd(2, "0").slice(0, 2));
      if (Number.isInteger(value) && value > 0) refund(sale, value);
      else say("退款金额不对");
    });
    return form;
  };
  const showSales = async () => {
    const sales = await call(`/till/api/sales?till=${encodeURIComponent(choice.value)}`);
    document.querySelector(".sales").replaceChildren(...sales.map((sale) => {
      const row = element("li", { className: sale.state },
        element("b", {}, `¥${sale.yuan}`),
        element("span", {}, `${sale.platform} ${sale.words}${sale.refunded_yuan ? `，已退 ¥${sale.refunded_yuan}` : ""}`),
        element("span", { className: "hint" }, `${sale.time} ${sale.out_trade_no}`));
      const acts = element("span", { className: "acts" });
      if (sale.slip) {
        const again = element("button", { type: "button", className: "plain small" }, "小票");
        again.addEventListener("click", () => showSlip(sale));
        acts.append(again);
      }
      if (["paying", "unknown"].includes(sale.state)) {
        const ask = element("button", { type: "button", className: "plain small" }, "查单");
        ask.addEventListener("click", async () => settle(await call(`/till/api/charges/${sale.out_trade_no}`)));
        acts.append(ask);
      }
      row.append(acts);
      if (sale.state === "paid" && sale.left_fen > 0) {
        const form = refundForm(sale);
        const back = element("button", { type: "button", className: "plain small" }, "退款");
        back.addEventListener("click", () => { form.hidden = !form.hidden; });
        acts.append(back);
        row.append(form);
      }
      return row;
    }));
    if (!sales.length) document.querySelector(".sales").append(element("li", { className: "empty" }, "这台终端还没有单"));
  };
  showGoods();
  every(60000, async () => { await call("/till/api/heartbeat", { till: choice.value }); });
});
