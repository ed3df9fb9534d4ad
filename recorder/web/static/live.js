"use strict";
// Keeps the table of live calls true, and says so when it cannot: a state that is not known is shown as such.
// The console sends each row that changes; all of them are asked for when it has not been heard of for a while.
import { ask, complain, post } from "./ask.js";
import { changedAt, patch } from "./patch.js";
import { watch } from "./watch.js";

const CALM_MS = 700; // who presses just when the button has become another one meant the one before

const table = document.getElementById("live");
const rows = document.getElementById("live-rows");
const said = document.getElementById("live-said");
const problem = document.getElementById("live-problem");
const drain = document.getElementById("live-drain");
const requests = document.getElementById("live-requests");
const acting = new WeakSet();
let meanwhile = null; // what was sent while all rows are asked for

const markUnknown = (state) => {
  state.className = "state state-not_confirmed";
  state.textContent = "Not confirmed";
};

const put = (html, ids) => {
  const focused = rows.contains(document.activeElement) ? document.activeElement : null;
  patch(rows, html, ids);
  if (focused && document.activeElement !== focused) (focused.isConnected ? focused : table.parentElement).focus();
};

const putRequests = async () => {
  const answer = await ask("/live/requests");
  // Only what is new is put in: a region that says what it has said already is a nuisance.
  if (answer.isFine) patch(requests, answer.text);
};

const putDrain = async () => {
  const answer = await ask("/live/drain");
  if (answer.isFine) patch(drain, answer.text);
};

const refresh = watch({
  address: "/live/changes",
  isSent: true,
  look: async () => {
    meanwhile = [];
    try {
      const answer = await ask("/live/rows");
      if (!answer.isFine) throw new Error("the daemon does not answer");
      put(answer.text);
      for (const sent of meanwhile) put(sent.html, sent.ids ?? null); // it may be newer than the answer
    } finally {
      meanwhile = null;
    }
    await putRequests();
    await putDrain();
    problem.replaceChildren();
  },
  lose: () => {
    rows.querySelectorAll(".state").forEach(markUnknown);
    if (!problem.hasChildNodes()) complain(problem, "Not confirmed: the state of these calls is not known at the moment.");
  },
  take: {
    rows: (sent) => {
      meanwhile?.push(sent);
      put(sent.html, sent.ids ?? null);
    },
    requests: () => putRequests().catch(() => {}), // whoever does not answer is heard of by the beats
    drain: () => putDrain().catch(() => {}),
  },
});

const act = async (form) => {
  const button = form.querySelector("button");
  acting.add(form);
  button.setAttribute("aria-disabled", "true");
  said.textContent = "Asking the recorder.";
  problem.replaceChildren();
  try {
    const answer = await post(form.dataset.api, table.dataset.csrf, { reason: "" });
    if (!answer.isFine) {
      said.textContent = "";
      complain(problem, answer.said.detail);
      return;
    }
    said.textContent = `The recording is now ${String(answer.said.state).replaceAll("_", " ")}.`;
  } catch {
    const row = form.closest("tr");
    if (row) markUnknown(row.querySelector(".state"));
    said.textContent = "";
    complain(problem, "Not confirmed: the recorder did not answer in 2 seconds. Use the pause key on the phone.");
    refresh();
  } finally {
    acting.delete(form);
    button.removeAttribute("aria-disabled");
  }
};

document.addEventListener("submit", (event) => {
  const form = event.target.closest("form[data-api]");
  if (!form) return;
  event.preventDefault();
  if (acting.has(form)) return;
  if (performance.now() - (changedAt.get(form) ?? -CALM_MS) < CALM_MS) {
    said.textContent = "The state of this call has just changed. Look at it, and press again if you mean it.";
    return;
  }
  act(form);
});
