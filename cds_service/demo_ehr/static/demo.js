// Shows what changed once the app has written to the chart or the pager has news: all but the frame of the app.
"use strict";

const main = document.querySelector("main[data-changes]");
const PARTS = [".clinic ul", "#cards", "#pager", ".facts", "#drafts", "#written", ".wire"];

async function look() {
  if (document.hidden) return;
  const before = main.dataset.changes;
  const changes = await (await fetch(`${main.dataset.chart}/changes`)).text();
  if (changes === before) return;
  const shown = new URLSearchParams(location.search);
  ["app", "form"].forEach((name) => shown.delete(name));
  const answer = await fetch(`${main.dataset.chart}?${shown}`);
  if (!answer.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  // On a slow machine one look begins before another has ended.
  if (main.dataset.changes !== before) return;
  const now = page.querySelector("main").dataset.changes;
  const what = now.split(".")[0] === before.split(".")[0] ? "pager has news" : "chart has changed";
  main.dataset.changes = now;
  for (const part of PARTS.filter((name) => page.querySelector(name))) {
    document.querySelector(part).replaceWith(page.querySelector(part));
  }
  document.getElementById("news").textContent = `The ${what}. The cards were asked for anew.`;
}

// A demo that has ended answers nothing; its page stays as it is.
if (main) setInterval(() => look().catch(() => {}), 1500);
