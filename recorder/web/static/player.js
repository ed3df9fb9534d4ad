// The player of a recording: waveform, buttons and keys. Without it the page has the native player and a drawing.
// Nothing is loaded before somebody plays.
import { marking } from "./player_marks.js";
import { sidesOf } from "./player_sides.js";
import { clockOf, positionOf } from "./player_time.js";
import { draw, drawSpans } from "./player_wave.js";

const SKIP_S = 5;
const LONG_SKIP_S = 10;
const MOST_PX_PER_S = 400;

const player = document.getElementById("player");
const part = (name) => document.getElementById(`player-${name}`);
const audio = document.getElementById("sound");
const bounds = { startS: Number(player.dataset.startS), lengthS: Number(player.dataset.lengthS) };
const wave = part("wave");
const { surfer, regions, quiet } = draw(wave, audio, {
  left: player.dataset.left, right: player.dataset.right, lengthS: bounds.lengthS,
});

const clamped = (at) => Math.min(Math.max(at, 0), bounds.lengthS);
let stopsAt = Infinity;
const goTo = (at) => { stopsAt = Infinity; surfer.setTime(clamped(at)); };
const goBy = (seconds) => goTo(surfer.getCurrentTime() + seconds);
const playFrom = (at) => { goTo(at); audio.play(); };
const playSpan = (from, to) => { playFrom(from); stopsAt = to; };
const playOrPause = () => { stopsAt = Infinity; if (audio.paused) audio.play(); else audio.pause(); };

const showTime = (at) => {
  part("now").textContent = clockOf(at);
  wave.setAttribute("aria-valuenow", String(Math.round(at)));
  wave.setAttribute("aria-valuetext", `${clockOf(at)} of ${clockOf(bounds.lengthS)}`);
};

const onTime = (at) => {
  showTime(at);
  if (!audio || audio.paused) return;
  if (at >= stopsAt) {
    audio.pause();
    stopsAt = Infinity;
    return;
  }
  const pause = part("skip")?.checked && quiet.find(([from, to]) => at >= from && at < to - 0.2);
  if (pause) surfer.setTime(pause[1]);
};


const fitted = () => wave.clientWidth / bounds.lengthS;
let zoom = 1;
const zoomBy = (factor) => {
  zoom = Math.min(Math.max(zoom * factor, 1), Math.max(MOST_PX_PER_S / fitted(), 1));
  surfer.zoom(zoom === 1 ? 0 : fitted() * zoom);
};

const control = () => {
  const setSides = sidesOf(audio);
  const heard = () => setSides([part("left").checked, part("right").checked]);
  part("play").addEventListener("click", playOrPause);
  part("back").addEventListener("click", () => goBy(-SKIP_S));
  part("forward").addEventListener("click", () => goBy(SKIP_S));
  part("speed").addEventListener("change", (event) => { audio.playbackRate = Number(event.target.value); });
  for (const side of ["left", "right"]) part(side).addEventListener("change", heard);
  for (const name of ["play", "pause", "ended"]) {
    audio.addEventListener(name, () => { part("play").textContent = audio.paused ? "Play" : "Pause"; });
  }
  audio.controls = false;
  audio.hidden = true;
  for (const button of document.querySelectorAll("[data-play-from]")) {
    button.hidden = false;
    button.addEventListener("click", () => playFrom(Number(button.dataset.playFrom) - bounds.startS));
  }
};

const KEYS = {
  j: () => goBy(-LONG_SKIP_S), k: playOrPause, l: () => goBy(LONG_SKIP_S), " ": playOrPause,
  ArrowLeft: () => goBy(-SKIP_S), ArrowRight: () => goBy(SKIP_S), Home: () => goTo(0), End: () => goTo(bounds.lengthS),
};
const IS_LETTER = /^[jkl]$/;

// Keys act while the focus is in the player; space and arrows only on the waveform, as buttons have their own.
const onKey = (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey || event.target.matches("input[type=text]")) return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const act = KEYS[key];
  if (!act || !(IS_LETTER.test(key) || event.target === wave)) return;
  if (!audio && (key === "k" || key === " ")) return;
  event.preventDefault();
  act();
};

const showPointer = (event) => {
  const box = surfer.getWrapper().getBoundingClientRect();
  const at = clamped(((event.clientX - box.left) / box.width) * bounds.lengthS);
  part("pointer").textContent = `Pointer at ${positionOf(at + bounds.startS)}`;
};

surfer.on("ready", () => {
  drawSpans(regions, bounds);
  marking({ surfer, regions, wave, ...bounds, clamped, playSpan: audio ? playSpan : null });
  player.dataset.isReady = "true";
});
surfer.on("timeupdate", onTime);
surfer.on("interaction", () => { stopsAt = Infinity; if (audio) audio.play(); });
player.addEventListener("keydown", onKey);
wave.addEventListener("pointermove", showPointer);
wave.addEventListener("pointerleave", () => { part("pointer").textContent = ""; });
part("in").addEventListener("click", () => zoomBy(2));
part("out").addEventListener("click", () => zoomBy(0.5));
document.getElementById("wave-figure")?.setAttribute("hidden", "");
part("live").hidden = false;
if (audio) control();
showTime(0);
