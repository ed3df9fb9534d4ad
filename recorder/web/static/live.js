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
const { csrf, query, now } = table.dataset;
const skewMs = Date.parse(now) - Date.now(); // of this machine's clock
const acting = new WeakSet();
let meanwhile = null; // what was sent while all rows are asked for

const NOW = { recording: "The call is being recorded.", paused: "The recording is now paused." };

// A state that is not known has no age either: the mark hides them.
const markUnknown = (place) => {
  place.classList.add("is-lost");
  for (const state of place.querySelectorAll(".state")) {
    state.className = "state govuk-tag govuk-tag--red";
    state.textContent = "Not confirmed";
  }
};

const length = (seconds) => {
  const two = (number) => String(number).padStart(2, "0");
  const minutes = Math.floor(seconds / 60) % 60;
  const hours = Math.floor(seconds / 3600);
  return `${hours ? `${hours}:${two(minutes)}` : minutes}:${two(Math.floor(seconds) % 60)}`;
};

// Only the text of what is there is changed, and nothing of it is announced.
const count = () => {
  for (const age of rows.querySelectorAll(".age[data-since]")) {
    const forS = Math.max((Date.now() + skewMs - Date.parse(age.dataset.since)) / 1000, 0);
    const shown = age.querySelector(".ticks").firstChild;
    if (!shown || Number.isNaN(forS)) continue;
    shown.data = length(forS);
    if (age.dataset.longS) age.classList.toggle("age-late", forS >= Number(age.dataset.longS));
  }
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
  address: `/live/changes${query}`,
  isSent: true,
  look: async () => {
    meanwhile = [];
    try {
      const answer = await ask(`/live/rows${query}`);
      if (!answer.isFine) throw new Error("the daemon does not answer");
      put(answer.text);
      for (const sent of meanwhile) put(sent.html, sent.ids ?? null); // it may be newer than the answer
    } finally {
      meanwhile = null;
    }
    await putRequests();
    await putDrain();
    problem.replaceChildren();
    rows.classList.remove("is-lost");
  },
  lose: () => {
    markUnknown(rows);
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

const act = async (button) => {
  const row = button.closest("tr");
  const call = encodeURIComponent(row.id.replace(/^call-/, ""));
  acting.add(button);
  button.setAttribute("aria-disabled", "true");
  said.textContent = "Asking the recorder.";
  problem.replaceChildren();
  try {
    const answer = await post(`/api/calls/${call}/${button.dataset.api}`, csrf, { reason: "" });
    if (!answer.isFine) {
      said.textContent = "";
      complain(problem, answer.said.detail);
      return;
    }
    const { state } = answer.said;
    said.textContent = NOW[state] ?? `State of the recording: ${String(state).replaceAll("_", " ")}.`;
  } catch {
    markUnknown(row);
    said.textContent = "";
    complain(problem, "Not confirmed: the recorder did not answer in 2 seconds. Use the pause key on the phone.");
    refresh();
  } finally {
    acting.delete(button);
    button.removeAttribute("aria-disabled");
  }
};

document.addEventListener("submit", (event) => {
  const button = event.submitter;
  if (!button?.dataset.api) return;
  event.preventDefault();
  if (acting.has(button)) return;
  if (performance.now() - (changedAt.get(button) ?? -CALM_MS) < CALM_MS) {
    said.textContent = "The state of this call has just changed. Look at it, and press again if you mean it.";
    return;
  }
  act(button);
});

setInterval(count, 1000);
