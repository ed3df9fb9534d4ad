"use strict";
// Keeps the table of live calls true, and says so when it cannot: a state that is not known is shown as such.
(() => {
  const DEADLINE_MS = 1900;
  const LOOK_EVERY_MS = 5000;
  const table = document.getElementById("live");
  const rows = document.getElementById("live-rows");
  const said = document.getElementById("live-said");
  const problem = document.getElementById("live-problem");
  const requests = document.getElementById("live-requests");
  let shown = null;
  let isAsking = false;
  let isStale = false;

  const ask = async (address, options = {}) => {
    const control = new AbortController();
    const timer = setTimeout(() => control.abort(), DEADLINE_MS);
    try {
      const answer = await fetch(address, { cache: "no-store", redirect: "manual", signal: control.signal, ...options });
      if (answer.type === "opaqueredirect" || answer.status === 401) {
        location.assign("/sign-in");
        throw new Error("You are signed out.");
      }
      return { isFine: answer.ok, status: answer.status, text: await answer.text() };
    } finally {
      clearTimeout(timer);
    }
  };

  const markUnknown = () => {
    for (const state of rows.querySelectorAll(".state")) {
      state.className = "state state-not_confirmed";
      state.textContent = "Not confirmed";
    }
  };

  const complain = (sentence) => {
    const paragraph = document.createElement("p");
    paragraph.className = "problem";
    paragraph.textContent = sentence;
    problem.replaceChildren(paragraph);
  };

  const refresh = async () => {
    if (isAsking) { isStale = true; return; }
    isAsking = true;
    try {
      const answer = await ask("/live/rows");
      if (!answer.isFine) throw new Error("the daemon does not answer");
      const focused = document.activeElement && rows.contains(document.activeElement) ? document.activeElement.id : "";
      rows.innerHTML = answer.text; // our own template, which escapes every value
      const asked = await ask("/live/requests");
      // Only what is new is put in: a region that says what it has said already is a nuisance.
      if (asked.isFine && asked.text !== shown) { shown = asked.text; requests.innerHTML = asked.text; }
      if (focused) {
        const other = focused.replace(/^(pause|resume)-/, (_, act) => (act === "pause" ? "resume-" : "pause-"));
        (document.getElementById(focused) || document.getElementById(other) || table.parentElement).focus();
      }
      problem.replaceChildren();
    } catch {
      markUnknown();
      if (!problem.hasChildNodes()) complain("Not confirmed: the state of these calls is not known at the moment.");
    } finally {
      isAsking = false;
      if (isStale) { isStale = false; refresh(); }
    }
  };

  const act = async (form) => {
    const button = form.querySelector("button");
    const state = form.closest("tr").querySelector(".state");
    button.setAttribute("aria-disabled", "true");
    said.textContent = "Asking the recorder.";
    try {
      const answer = await ask(form.dataset.api, {
        method: "POST",
        headers: { "Content-Type": "application/json", "X-CSRF-Token": table.dataset.csrf },
        body: JSON.stringify({ reason: "" }),
      });
      const document_ = JSON.parse(answer.text);
      if (!answer.isFine && answer.status !== 504) {
        said.textContent = "";
        complain(document_.detail);
        return;
      }
      if (!answer.isFine) throw new Error(document_.detail);
      said.textContent = `The recording is now ${String(document_.state).replaceAll("_", " ")}.`;
      await refresh();
    } catch {
      state.className = "state state-not_confirmed";
      state.textContent = "Not confirmed";
      said.textContent = "";
      complain("Not confirmed: the recorder did not answer in 2 seconds. Use the pause key on the phone.");
    } finally {
      button.removeAttribute("aria-disabled");
    }
  };

  document.addEventListener("submit", (event) => {
    const form = event.target.closest("form[data-api]");
    if (!form) return;
    event.preventDefault();
    if (form.querySelector("button[aria-disabled]")) return;
    act(form);
  });
  new EventSource("/live/changes").addEventListener("message", refresh);
  setInterval(refresh, LOOK_EVERY_MS);
})();
