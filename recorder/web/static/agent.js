"use strict";
// The agent page: shows how the recording stands, pauses and resumes it, and never says more than the recorder did.
import { ask, complain, post } from "./ask.js";
import { watch } from "./watch.js";

const CALM_MS = 700; // the second click of a double click must not undo the first
const LAST_CALL_MS = 4000;
const KEY = "F8";
const KEY_STORE = "recorder.pause-key";
const UNKNOWN = "not_confirmed";
const SAID = {
  recording: "Recording.",
  paused: "The recording is paused.",
  no_call: "No call.",
  beginning: "A call begins.",
  not_recorded: "This call is not recorded.",
};

const byId = (id) => document.getElementById(id);
const agent = byId("agent");
const said = byId("agent-said");
const problem = byId("agent-problem");
const spans = byId("agent-spans");
const willErase = byId("agent-will-erase");
const last = byId("agent-last");
const csrf = agent.dataset.csrf;
const title = document.title.replace(/^.*? – /, "");
let isActing = false;
let actedAt = -CALM_MS;
let pausedAt = 0;
let standing = byId("agent-state").dataset.standing;
let pausedFrom = null; // when the pause began, by this page's clock
let alarmAt = null; // when the recorder raises the alarm of a long pause; null where it has none
let runningFrom = null; // when the call began
let canAct = !byId("agent-button").hasAttribute("aria-disabled");

// What is shown

const begin = () => {
  const { alarmS, pausedS, runningS } = byId("agent-state").dataset;
  const ago = (seconds) => (seconds === undefined ? null : performance.now() - Number(seconds) * 1000);
  pausedFrom = ago(pausedS);
  alarmAt = alarmS === undefined ? null : performance.now() + Number(alarmS) * 1000;
  runningFrom = ago(runningS);
};

const two = (number) => String(number).padStart(2, "0");
const minutes = (seconds) => {
  const hours = Math.floor(seconds / 3600);
  const left = Math.floor(seconds / 60) % 60;
  return `${hours ? `${hours}:${two(left)}` : left}:${two(Math.floor(seconds % 60))}`;
};

const alarm = (now) => {
  if (alarmAt === null) return "";
  return now < alarmAt
    ? `. An alarm is raised in ${minutes((alarmAt - now) / 1000)} if it is still paused`
    : `. An alarm was raised after ${minutes(Number(byId("agent-state").dataset.maxS))}. It stays paused until you resume`;
};

const count = () => {
  if (runningFrom !== null) {
    byId("agent-clock").textContent = `Call time ${minutes((performance.now() - runningFrom) / 1000)}`;
  }
  if (pausedFrom === null) return;
  const now = performance.now();
  byId("agent-time").textContent = `Paused for ${minutes((now - pausedFrom) / 1000)}${alarm(now)}`;
};

const entitle = (words) => { document.title = `${words} – ${title}`; };

const enable = () => {
  if (canAct && !isActing) byId("agent-button").removeAttribute("aria-disabled");
  else byId("agent-button").setAttribute("aria-disabled", "true");
};

const show = (html) => {
  const focused = agent.contains(document.activeElement) ? document.activeElement.id : "";
  agent.innerHTML = html; // our own template, which escapes every value
  if (focused) (byId(focused) || byId("agent-button")).focus();
  const now = byId("agent-state").dataset;
  if (standing === UNKNOWN) problem.replaceChildren();
  if (now.standing !== standing && !isActing) said.textContent = SAID[now.standing];
  if (now.standing !== standing && now.standing === "no_call") showLastCall();
  standing = now.standing;
  canAct = !byId("agent-button").hasAttribute("aria-disabled");
  enable();
  entitle(now.words);
  begin();
  count();
};

// The recorder stores a call some moments after it has ended, so it is asked for twice.
const showLastCall = () => {
  for (const afterMs of [500, LAST_CALL_MS]) {
    setTimeout(async () => {
      const answer = await ask("/agent/last-call").catch(() => null);
      const isBusy = last.contains(document.activeElement);
      if (answer?.isFine && !isBusy) last.innerHTML = answer.text; // our own template, which escapes every value
    }, afterMs);
  }
};

const lose = () => {
  standing = UNKNOWN;
  pausedFrom = null;
  alarmAt = null;
  runningFrom = null;
  const state = byId("agent-state");
  state.className = `phone phone-${UNKNOWN}`;
  delete state.dataset.pausedS;
  byId("agent-words").textContent = "Not confirmed";
  byId("agent-since").textContent = "";
  byId("agent-time").textContent = "";
  byId("agent-clock").textContent = "";
  byId("agent-erases").textContent = "";
  for (const one of agent.querySelectorAll(".state")) {
    one.className = "state govuk-tag govuk-tag--red";
    one.textContent = "Not confirmed";
  }
  const form = byId("agent-press");
  form.dataset.act = "pause";
  form.action = "/agent/pause";
  byId("agent-button").textContent = "Pause recording";
  canAct = true; // it may be that only this page does not hear of it
  enable();
  entitle("Not confirmed");
  said.textContent = "";
  if (!problem.hasChildNodes()) {
    complain(problem, "Not confirmed: the recorder does not answer. Use the pause key on the phone.");
  }
};

const refresh = watch({
  address: "/agent/changes",
  look: async () => {
    const answer = await ask("/agent/state");
    if (!answer.isFine) throw new Error("the recorder does not answer");
    show(answer.text);
  },
  lose,
});

// What is done

// Does an act at every extension, and returns what became of the calls there; null where it was refused, and said so.
const everywhere = async (act, body) => {
  const numbers = byId("agent-press").dataset.numbers.split(" ").filter(Boolean);
  const answers = await Promise.all(numbers.map((one) => post(`/api/extensions/${encodeURIComponent(one)}/${act}`, csrf, body)));
  const calls = answers.filter((one) => one.isFine).flatMap((one) => one.said.calls);
  const refused = answers.find((one) => !one.isFine && (one.status !== 404 || !calls.length));
  if (!refused && answers.length) return calls;
  complain(problem, refused ? refused.said.detail : "You are not at an extension that is recorded.");
  return null;
};

// Runs what asks the recorder: one at a time, and whatever is not known afterwards is shown as such.
const acting = async (run) => {
  if (isActing) return;
  isActing = true;
  enable();
  problem.replaceChildren();
  said.textContent = "Asking the recorder.";
  try {
    said.textContent = (await run()) || "";
    await refresh();
  } catch {
    complain(problem, "Not confirmed: the recorder did not answer in 2 seconds. Use the pause key on the phone.");
    lose();
    refresh();
  } finally {
    isActing = false;
    actedAt = performance.now();
    enable();
  }
};

const outcome = (calls) => {
  const states = new Set(calls.map((call) => call.state));
  if (states.size === 1 && states.has("paused")) return SAID.paused;
  if (states.has("recording")) return SAID.recording;
  return states.has("paused") ? "The recording is paused, for another reason too." : SAID.not_recorded;
};

const press = (act) => acting(async () => {
  const calls = await everywhere(act, { reason: "" });
  return calls && outcome(calls);
});

const forget = () => acting(async () => {
  const calls = await everywhere("pause", { reason: "" });
  if (!calls) return "";
  pausedAt = performance.now();
  spans.querySelector("form").reset();
  willErase.textContent = "";
  spans.hidden = false;
  byId("agent-spans-title").focus();
  return `${outcome(calls)} How much should be erased?`;
});

const erase = (span) => acting(async () => {
  const sinceS = (performance.now() - pausedAt) / 1000;
  const calls = await everywhere("forgot", { seconds: span === "all" ? null : Number(span) + sinceS, reason: "" });
  if (!calls) return "";
  close();
  const waits = calls.some((call) => call.erasure && call.erasure.state === "waiting");
  return `${outcome(calls)} ${waits ? "A second person has to confirm the erasure." : "The part will be erased after the call."}`;
});

const close = () => {
  spans.hidden = true;
  byId("agent-button").focus();
};

const askFor = (address, fine) => acting(async () => {
  const answer = await post(address, csrf, { reason: "" });
  if (answer.isFine) return fine;
  complain(problem, answer.said.detail);
  return "";
});

document.addEventListener("submit", (event) => {
  const form = event.target;
  const isOurs = agent.contains(form) || spans.contains(form);
  if (!isOurs) return;
  event.preventDefault();
  if (form.id === "agent-press") {
    const isCalm = performance.now() - actedAt > CALM_MS;
    if (isCalm && !byId("agent-button").hasAttribute("aria-disabled")) press(form.dataset.act);
  } else if ("forgot" in form.dataset) {
    forget();
  } else if ("ask" in form.dataset) {
    askFor(form.dataset.ask, "A manager has been asked. The call is recorded until one of them decides.");
  } else if ("second" in form.dataset) {
    askFor(form.dataset.second, "The second message is played to the caller, who does not hear you until it ends.");
  } else {
    const span = new FormData(form).get("span");
    if (span) erase(span);
    else willErase.textContent = "Select how much of the call should be erased.";
  }
});
spans.addEventListener("change", (event) => {
  const label = spans.querySelector(`label[for="${event.target.id}"]`);
  willErase.textContent = `You have chosen: ${label.textContent.trim()}. Nothing is erased until you press “Erase it”.`;
});
byId("agent-keep").addEventListener("click", close);

// The key

const keyOn = byId("agent-key-on");
byId("agent-key").hidden = false;
keyOn.checked = localStorage.getItem(KEY_STORE) === "on";
keyOn.addEventListener("change", () => localStorage.setItem(KEY_STORE, keyOn.checked ? "on" : "off"));
document.addEventListener("keydown", (event) => {
  if (!keyOn.checked || event.key !== KEY || event.repeat || event.ctrlKey || event.altKey || event.metaKey) return;
  event.preventDefault();
  press(event.shiftKey ? "resume" : "pause");
});

begin();
count();
setInterval(count, 1000);
