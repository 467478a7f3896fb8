// Shows what changed once the app has written to the chart: all but the frame in which the app is open.
"use strict";

const main = document.querySelector("main[data-changes]");
const PARTS = [".clinic ul", "#cards", ".facts", "#drafts", "#written", ".wire"];

async function look() {
  if (document.hidden) return;
  const changes = await (await fetch(`${main.dataset.chart}/changes`)).text();
  if (changes === main.dataset.changes) return;
  const shown = new URLSearchParams(location.search);
  ["app", "form"].forEach((name) => shown.delete(name));
  const answer = await fetch(`${main.dataset.chart}?${shown}`);
  if (!answer.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  main.dataset.changes = page.querySelector("main").dataset.changes;
  for (const part of PARTS) document.querySelector(part).replaceWith(page.querySelector(part));
  document.getElementById("news").textContent = "The chart has changed. The cards were asked for anew.";
}

// A demo that has ended answers nothing; its page stays as it is.
if (main) setInterval(() => look().catch(() => {}), 1500);
