"use strict";
// Keeps a page true: looks again when something changed, and says within 2 s that the recorder is not there any more.
// The console sends a beat every half second while the recorder lives.

const LOOK_EVERY_MS = 5000;
const PROBE_MS = 800; // no beat for so long: ask, in case it is only the stream that is broken
const LOST_MS = 1300; // nothing for so long: what the page shows is not known to be true any more
const AGAIN_MS = 1000;
const STEP_MS = 100;

// look: asks for the state and shows it; throws when it is not known. lose: shows that it is not known.
// isSent: whether what changes is sent, so that nothing has to be asked for while the recorder is heard.
// take: what to do with what is sent, by the names of its events.
export const watch = ({ address, look, lose, isSent = false, take = {} }) => {
  let heardAt = performance.now();
  let lookedAt = -AGAIN_MS;
  let isLost = false;
  let looking = null;
  let isStale = false;

  const lost = () => {
    if (isLost) return;
    isLost = true;
    lose();
  };

  const once = async () => {
    isStale = false;
    lookedAt = performance.now();
    const began = lookedAt;
    try {
      await look();
      isLost = false;
      heardAt = Math.max(heardAt, began); // the answer is from then or later
    } catch {
      lost();
    }
  };

  // Done when what is shown is from after the call; what comes in meanwhile is one more look.
  const refresh = () => {
    isStale = true;
    looking ??= (async () => {
      while (isStale) await once();
      looking = null;
    })();
    return looking;
  };

  const hear = () => {
    heardAt = performance.now();
    if (isLost) refresh();
  };

  const tick = () => {
    const now = performance.now();
    const silentMs = now - heardAt;
    if (silentMs > LOST_MS) lost();
    const calmMs = isSent ? Infinity : LOOK_EVERY_MS;
    const everyMs = isLost || silentMs > PROBE_MS ? AGAIN_MS : calmMs;
    if (now - lookedAt > everyMs || (silentMs > PROBE_MS && !isLost && lookedAt < heardAt)) refresh();
  };

  const listen = () => {
    const source = new EventSource(address);
    source.addEventListener("beat", hear);
    source.addEventListener("message", () => { heardAt = performance.now(); refresh(); });
    for (const [name, put] of Object.entries(take)) {
      source.addEventListener(name, (event) => { put(JSON.parse(event.data)); hear(); });
    }
    source.addEventListener("error", () => {
      refresh();
      if (source.readyState === EventSource.CLOSED) setTimeout(listen, AGAIN_MS);
    });
  };

  listen();
  setInterval(tick, STEP_MS);
  document.addEventListener("visibilitychange", () => { if (!document.hidden) { tick(); refresh(); } });
  return refresh;
};
