// What helps and is not needed: everything works without this.
//
// - Two minutes before the session ends a dialog says so; one press prolongs it and leaves the page as it is. An answer
//   that is chosen is use of the page too: a long talk over a form must not lose what was answered. When the session is
//   over the page is left, so that nothing of the patient stays on the screen.
// - In a form the keys 0 to 3 choose the answer of the question in focus, or of the first open one while its heading is,
//   and go on to the next one; after the last that counts, to the review, where the button that writes is in focus. How
//   many are answered is counted, and an error goes when its question is answered.
// - One press copies the text for the note; where the browser does not let us, it is selected.
// - The steps for an answer on self-harm, once an answer brings them up, are said to readers of the screen.
// - Leaving a form with answers that were not sent asks once.
"use strict";

(() => {
  const WARN_MS = 120000;
  const QUIET_MS = 60000;
  const LEAVE_MS = 3000;
  let unsent = false;
  const say = (text) => {
    const place = document.getElementById("said");
    if (place) place.textContent = text;
  };

  // Browsers do not heed autofocus in a frame of another site.
  const first = document.querySelector("[autofocus]");
  if (first) first.focus();

  const dialog = document.getElementById("time-out");
  if (dialog && dialog.showModal) {
    const whole = Number(dialog.dataset.seconds) * 1000;
    // However often it is prolonged, a session lasts no longer than this.
    const last = Number(dialog.dataset.last) * 1000;
    let ends = Date.now() + whole;
    const form = dialog.querySelector("form");
    const failed = dialog.querySelector("[data-failed]");
    let warned = false;
    // Timers sleep with the machine, so the clock is looked at.
    setInterval(() => {
      const left = ends - Date.now();
      if (left <= WARN_MS && !warned) {
        warned = true;
        dialog.showModal();
      }
      if (left <= 0) failed.hidden = false;
      if (left <= -LEAVE_MS) {
        // Nothing of the patient stays on a screen whose session is over; the page says that it is.
        unsent = false;
        window.location.replace(dialog.dataset.home);
      }
    }, 1000);
    let heard = Date.now();
    const prolong = () => {
      heard = Date.now();
      fetch(form.action, { method: "POST", body: new URLSearchParams(new FormData(form)), redirect: "manual" })
        .then((answer) => {
          // The answer leads on to the summary, which is not wanted here; an ended session does not.
          if (answer.type !== "opaqueredirect") throw new Error("ended");
          ends = Math.min(Date.now() + whole, Math.max(last, ends));
          warned = ends - Date.now() <= WARN_MS;
          failed.hidden = !warned;
          if (!warned) dialog.close();
        })
        .catch(() => {
          failed.hidden = false;
          if (!warned) {
            warned = true;
            dialog.showModal();
          }
        });
    };
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      prolong();
    });
    document.querySelectorAll("form.questionnaire").forEach((entered) => {
      entered.addEventListener("change", () => {
        if (Date.now() - heard >= QUIET_MS) prolong();
      });
    });
  }

  document.querySelectorAll(".help-now").forEach((place) => {
    const form = place.closest("form");
    form.addEventListener("change", (event) => {
      const question = event.target.closest(".safety-question");
      if (!question) return;
      const title = place.querySelector("h2");
      const calls = form.querySelector(".calls-for-help:checked");
      say(calls && title ? title.textContent.trim() : "");
      // On a small screen they would come up below its end.
      if (calls && title && place.previousElementSibling === question) title.nextElementSibling.scrollIntoView({ block: "nearest" });
    });
  });

  document.querySelectorAll(".by-script").forEach((part) => {
    part.hidden = false;
  });

  document.querySelectorAll("[data-copies]").forEach((button) => {
    const text = document.getElementById(button.dataset.copies);
    const told = button.nextElementSibling;
    button.addEventListener("click", async () => {
      text.closest("details").open = true;
      text.select();
      try {
        await navigator.clipboard.writeText(text.value);
        told.textContent = told.dataset.copied;
      } catch {
        // Browsers let frames and pages without TLS copy what is selected at most.
        told.textContent = document.execCommand("copy") ? told.dataset.copied : told.dataset.selected;
      }
    });
  });

  document.querySelectorAll("form.questionnaire").forEach((form) => {
    const questions = [...form.querySelectorAll(".question")];
    const asked = (question) => question.matches(".must") && question.getClientRects().length > 0;
    const counted = () => questions.filter(asked);
    const heading = document.querySelector("h1");
    const progress = form.querySelector(".count");
    const count = () => {
      const chosen = counted().map((question) => question.querySelector(":checked")).filter(Boolean);
      const declined = chosen.filter((answer) => answer.value === "declined").length;
      const said = progress.dataset.answered.replace("{n}", chosen.length - declined).replace("{of}", counted().length);
      progress.textContent = declined ? `${said}, ${progress.dataset.declined.replace("{n}", declined)}` : said;
    };
    const mend = (question) => {
      const error = question.querySelector(".error");
      if (!error) return;
      error.remove();
      question.classList.remove("open");
      question.removeAttribute("aria-describedby");
      const errors = document.getElementById("errors");
      errors.querySelector(`[href^="#${question.id}-"]`).parentElement.remove();
      if (errors.querySelector("li")) return;
      errors.remove();
      document.title = document.querySelector("h1").textContent;
    };
    count();
    const open = () => counted().find((question) => !question.querySelector(":checked"));
    document.addEventListener("keydown", (event) => {
      const held = event.altKey || event.ctrlKey || event.metaKey || event.shiftKey || event.repeat;
      if (held || !/^[0-3]$/.test(event.key)) return;
      const chosen = event.target.matches(".questionnaire [type=radio]");
      const question = chosen ? event.target.closest(".question") : event.target === heading && open();
      const answer = question && question.querySelector(`[data-key="${event.key}"]`);
      if (!answer) return;
      event.preventDefault();
      answer.focus();
      answer.click();
      // The steps that an answer brings up are looked at before anything else.
      if (answer.matches(".calls-for-help")) return;
      const next = questions[questions.indexOf(question) + 1];
      if (question === counted().at(-1) && !open()) {
        const by = document.createElement("input");
        Object.assign(by, { type: "hidden", name: "by-keys", value: "1" });
        form.append(by);
        form.requestSubmit();
        return;
      }
      const place = next ? next.querySelector(":checked") || next.querySelector("[type=radio]") : form.querySelector("button");
      place.focus();
    });
    form.addEventListener("change", (event) => {
      count();
      mend(event.target.closest(".question"));
      unsent = true;
    });
    form.addEventListener("submit", () => {
      unsent = false;
    });
  });
  window.addEventListener("beforeunload", (event) => {
    if (!unsent) return;
    unsent = false;
    event.preventDefault();
  });
})();
