"use strict";
// Keeps the table of live calls true, and says so when it cannot: a state that is not known is shown as such.
import { ask, complain, post } from "./ask.js";
import { watch } from "./watch.js";

const table = document.getElementById("live");
const rows = document.getElementById("live-rows");
const said = document.getElementById("live-said");
const problem = document.getElementById("live-problem");
const requests = document.getElementById("live-requests");
let shown = null;

const markUnknown = (state) => {
  state.className = "state state-not_confirmed";
  state.textContent = "Not confirmed";
};

// Draws anew what changed and nothing else: three hundred rows keep a browser busy, and a focus stays where it is.
const put = (html) => {
  const fresh = document.createElement("tbody");
  fresh.innerHTML = html; // our own template, which escapes every value
  const wanted = [...fresh.children];
  const ids = new Set(wanted.map((row) => row.id));
  const known = new Map([...rows.children].map((row) => [row.id, row]));
  for (const [id, row] of known) if (!ids.has(id)) row.remove();
  wanted.forEach((row, at) => {
    const old = known.get(row.id);
    if (old && !old.isEqualNode(row)) old.replaceWith(row);
    const kept = old && old.isConnected ? old : row;
    if (rows.children[at] !== kept) rows.insertBefore(kept, rows.children[at] ?? null);
  });
};

const refresh = watch({
  address: "/live/changes",
  look: async () => {
    const answer = await ask("/live/rows");
    if (!answer.isFine) throw new Error("the daemon does not answer");
    const focused = rows.contains(document.activeElement) ? document.activeElement.id : "";
    put(answer.text);
    const asked = await ask("/live/requests");
    // Only what is new is put in: a region that says what it has said already is a nuisance.
    if (asked.isFine && asked.text !== shown) { shown = asked.text; requests.innerHTML = asked.text; }
    if (focused) {
      const other = focused.replace(/^(pause|resume)-/, (_, act) => (act === "pause" ? "resume-" : "pause-"));
      (document.getElementById(focused) || document.getElementById(other) || table.parentElement).focus();
    }
    problem.replaceChildren();
  },
  lose: () => {
    rows.querySelectorAll(".state").forEach(markUnknown);
    if (!problem.hasChildNodes()) complain(problem, "Not confirmed: the state of these calls is not known at the moment.");
  },
});

const act = async (form) => {
  const button = form.querySelector("button");
  button.setAttribute("aria-disabled", "true");
  said.textContent = "Asking the recorder.";
  try {
    const answer = await post(form.dataset.api, table.dataset.csrf, { reason: "" });
    if (!answer.isFine) {
      said.textContent = "";
      complain(problem, answer.said.detail);
      return;
    }
    said.textContent = `The recording is now ${String(answer.said.state).replaceAll("_", " ")}.`;
    await refresh();
  } catch {
    const row = form.closest("tr");
    if (row) markUnknown(row.querySelector(".state"));
    said.textContent = "";
    complain(problem, "Not confirmed: the recorder did not answer in 2 seconds. Use the pause key on the phone.");
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
