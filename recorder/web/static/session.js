"use strict";
// Warns before a session ends, and keeps it when somebody says that they are still there. What a page does by itself is
// no activity: this asks how long is left, and nothing more.
import { ask, post } from "./ask.js";

const WARN_S = 120;
const LOOK_EVERY_MS = 30_000;
const STEP_MS = 1000;

const place = document.getElementById("session");
const csrf = place.dataset.csrf;
let endsAt = Infinity; // by this page's clock
let isFinal = false;
let shown = "";

const words = (seconds) => (seconds > 60 ? `${Math.ceil(seconds / 60)} minutes` : "one minute");

const know = ({ idle_left_s: idleS, left_s: leftS }) => {
  endsAt = performance.now() + Math.min(idleS, leftS) * 1000;
  isFinal = leftS <= idleS;
};

const look = async () => {
  const answer = await ask("/api/session");
  if (answer.isFine) know(JSON.parse(answer.text));
};

const stay = async () => {
  const answer = await post("/api/session", csrf, {});
  if (answer.isFine) know(answer.said);
  show();
};

// The countdown is not announced again and again: a warning is said once, and once more in its last minute.
const show = () => {
  const leftS = (endsAt - performance.now()) / 1000;
  const state = leftS > WARN_S ? "" : `${isFinal} ${leftS > 60}`;
  if (state === shown) return;
  shown = state;
  place.replaceChildren();
  place.hidden = !state;
  if (!state) return;
  const sentence = document.createElement("p");
  sentence.textContent = isFinal
    ? `You will be signed out in ${words(leftS)}, because you have been signed in for as long as is allowed. Finish what you are doing and sign in again.`
    : `You will be signed out in ${words(leftS)}, because you have not used this page.`;
  place.append(sentence);
  if (isFinal) return;
  const button = document.createElement("button");
  button.id = "session-stay";
  button.textContent = "Stay signed in";
  button.addEventListener("click", () => stay().catch(() => {}));
  place.append(button);
};

const tick = () => {
  if (performance.now() > endsAt) look().catch(() => {}); // the answer may be the sign-in
  show();
};

look().then(show, () => {});
setInterval(() => look().then(show, () => {}), LOOK_EVERY_MS);
setInterval(tick, STEP_MS);
document.addEventListener("visibilitychange", () => { if (!document.hidden) look().then(show, () => {}); });
