// Draws the waveform of a recording from its stored peaks, and the marks of its spans. Decodes nothing.
import WaveSurfer from "./vendor/wavesurfer.esm.js";
import Regions from "./vendor/wavesurfer.regions.esm.js";

const PER_S = 10;
const LANE_PX = 88;
const PATTERNS = {
  paused: "repeating-linear-gradient(45deg, #f47738 0 4px, #fff 4px 8px)",
  erased: "repeating-linear-gradient(45deg, #0b0c0c 0 1px, transparent 1px 8px), repeating-linear-gradient(-45deg, #0b0c0c 0 1px, #fff 1px 8px)",
  ordered: "repeating-linear-gradient(90deg, #d4351c 0 2px, #fff 2px 8px)",
  other: "repeating-linear-gradient(0deg, #505a5f 0 1px, #fff 1px 6px)",
};

// Returns the peaks of a channel, 0 to 1. The square root, because most speech is far below the loudest sample.
const peaksOf = (text, count) => {
  const bytes = Uint8Array.from(atob(text), (one) => one.charCodeAt(0));
  return Float32Array.from({ length: count }, (_, at) => Math.sqrt((bytes[at] ?? 0) / 255));
};

// Returns the stretches in which neither side says anything for two seconds or more.
const quietIn = ([left, right]) => {
  const found = [];
  let since = -1;
  for (let at = 0; at <= left.length; at += 1) {
    const isQuiet = at < left.length && Math.max(left[at], right[at]) < 0.18;
    if (isQuiet && since < 0) since = at;
    if (!isQuiet && since >= 0) {
      if (at - since >= 2 * PER_S) found.push([since / PER_S, at / PER_S]);
      since = -1;
    }
  }
  return found;
};

// Puts a waveform into `place`, and returns it with its regions and its quiet stretches.
//
// WaveSurfer has its style sheet as a style element, which the pages' policy refuses. So the drawing is made off the
// page, its style becomes a sheet of its own kind, and then it is put into the page.
export const draw = (place, audio, { left, right, lengthS }) => {
  const frame = document.createElement("div");
  const count = Math.max(Math.round(lengthS * PER_S), 1);
  const peaks = [peaksOf(left, count), peaksOf(right, count)];
  const regions = Regions.create();
  const lane = { height: LANE_PX, barHeight: 0.95 };
  const surfer = WaveSurfer.create({
    container: frame, media: audio ?? undefined, peaks, duration: lengthS, plugins: [regions], cursorWidth: 3,
    cursorColor: "#d4351c", height: LANE_PX,
    splitChannels: [
      { ...lane, waveColor: "#1d70b8", progressColor: "#144e81" },
      { ...lane, waveColor: "#0f7a52", progressColor: "#0a5338" },
    ],
  });
  const root = frame.firstElementChild.shadowRoot;
  const style = root.querySelector("style");
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(style.textContent);
  root.adoptedStyleSheets = [sheet];
  style.remove();
  place.append(frame);
  return { surfer, regions, quiet: quietIn(peaks) };
};

// Draws the spans that the page's tables name: each with its pattern and its words.
export const drawSpans = (regions, { startS, lengthS }) => {
  const edges = new Set();
  for (const row of document.querySelectorAll("[data-mark]")) {
    const start = Math.max(Number(row.dataset.from) - startS, 0);
    const end = Math.min(Number(row.dataset.to) - startS, lengthS);
    edges.add(row.dataset.from).add(row.dataset.to);
    if (start >= end) continue;
    const region = regions.addRegion({ start, end, drag: false, resize: false, color: "transparent", content: label(row.dataset.words) });
    Object.assign(region.element.style, {
      backgroundImage: PATTERNS[row.dataset.mark] ?? PATTERNS.other, opacity: "0.85", pointerEvents: "none", overflow: "hidden",
    });
  }
  for (const step of document.querySelectorAll("[data-marker]")) {
    const start = Number(step.dataset.marker) - startS;
    if (edges.has(step.dataset.marker) || start <= 0 || start >= lengthS) continue;
    const region = regions.addRegion({ start, drag: false, resize: false, color: "#0b0c0c", content: label(step.dataset.words) });
    region.element.style.pointerEvents = "none";
  }
};

const label = (words) => {
  const shown = document.createElement("span");
  shown.textContent = words;
  shown.title = words;
  Object.assign(shown.style, {
    background: "#fff", color: "#0b0c0c", font: "14px arial, sans-serif", padding: "0 4px", display: "inline-block",
    whiteSpace: "nowrap",
  });
  return shown;
};
