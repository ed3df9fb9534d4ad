"use strict";
// Asks the console, and waits no longer than a page may: it promises within 2 s to say what is known.

export const DEADLINE_MS = 1900;

export const ask = async (address, options = {}, deadlineMs = DEADLINE_MS) => {
  const control = new AbortController();
  const timer = setTimeout(() => control.abort(), deadlineMs);
  try {
    const answer = await fetch(address, { cache: "no-store", redirect: "manual", signal: control.signal, ...options });
    if (answer.type === "opaqueredirect" || answer.status === 401) {
      location.assign(`/sign-in?next=${encodeURIComponent(location.pathname + location.search)}`);
      throw new Error("You are signed out.");
    }
    return { isFine: answer.ok, status: answer.status, text: await answer.text() };
  } finally {
    clearTimeout(timer);
  }
};

// Has something done. Throws where it is not known whether it was; whatever else was refused is in the answer.
export const post = async (address, csrf, body) => {
  const answer = await ask(address, {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-CSRF-Token": csrf },
    body: JSON.stringify(body),
  });
  const said = JSON.parse(answer.text);
  if (answer.status === 504) throw new Error(said.detail);
  return { ...answer, said };
};

export const complain = (place, sentence) => {
  const paragraph = document.createElement("p");
  paragraph.className = "problem";
  paragraph.textContent = sentence;
  place.replaceChildren(paragraph);
};
