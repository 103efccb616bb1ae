// What every page of the sandbox shares: calls, the clock, short notes.
"use strict";

const sandbox = {
  async call(path, body) {
    const options = body === undefined ? {} : {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
    };
    const answer = await fetch(path, options);
    if (!answer.ok) throw new Error(`${answer.status}`);
    return answer.json();
  },

  element(name, properties = {}, ...children) {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(properties)) {
      if (key in made) made[key] = value;
      else made.setAttribute(key, value);
    }
    made.append(...children);
    return made;
  },

  say(text) {
    const toast = document.querySelector(".toast");
    toast.textContent = text;
    toast.hidden = false;
    clearTimeout(sandbox.toastTimer);
    sandbox.toastTimer = setTimeout(() => { toast.hidden = true; }, 4000);
  },

  // A page of the program in a window as wide as a phone; a tab where windows cannot be opened.
  openPage(url, name) {
    const left = Math.max(0, window.screenX + window.outerWidth - 460);
    const features = window.innerWidth < 720 ? "" : `width=375,height=720,left=${left},top=${window.screenY + 90}`;
    const opened = window.open(url, `page-${name}`, features);
    if (opened) opened.focus();
    else sandbox.say("浏览器拦下了小窗，请允许本页弹出窗口");
  },

  // Ask again and again while the page is looked at.
  every(milliseconds, work) {
    const round = async () => {
      if (!document.hidden) {
        try { await work(); } catch (problem) { sandbox.lastProblem = problem; }
      }
      setTimeout(round, milliseconds);
    };
    round();
  },
};

document.addEventListener("DOMContentLoaded", () => {
  const back = document.querySelector('[data-clock-to="back"]');
  const show = (clock) => {
    const [date, time] = clock.beijing.split(" ");
    const [, month, day] = date.split("-");
    document.querySelector("[data-clock]").textContent = `${month}月${day}日 ${time.slice(0, 5)}`;
    for (const place of document.querySelectorAll("[data-clock-time]")) place.textContent = time.slice(0, 5);
    back.hidden = Math.abs(clock.offset) <= 1;
  };
  for (const button of document.querySelectorAll("[data-clock-to]")) {
    button.addEventListener("click", async () => {
      const wanted = button.dataset.clockTo === "back" ? { offset: 0 } : { tomorrow: "10:30" };
      show(await sandbox.call("/control/clock", wanted));
      sandbox.say(button.dataset.clockTo === "back" ? "时钟恢复了" : "现在是第二天上午 10:30，账单马上会取");
    });
  }
  sandbox.every(10000, async () => show(await sandbox.call("/control/clock")));
});
