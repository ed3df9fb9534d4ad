// Spans that people mark on the waveform: by dragging, by the keys of their fields, or by typing. The fields are what
// is sent; a span on the waveform and its fields always say the same.
import { positionOf, rounded, secondsOf } from "./player_time.js";

const LEAST_S = 0.1;
const NEW_S = 1;
const FINE_S = 0.1;
const COARSE_S = 1;
const LOOKS = {
  silence: { backgroundImage: "repeating-linear-gradient(45deg, rgba(11, 12, 12, 0.6) 0 3px, rgba(255, 255, 255, 0.7) 3px 7px)" },
  copy: { backgroundColor: "rgba(255, 221, 0, 0.35)" },
  erase: { backgroundImage: "repeating-linear-gradient(-45deg, rgba(212, 53, 28, 0.7) 0 3px, rgba(255, 255, 255, 0.7) 3px 7px)" },
};
const LINE = /^\s*(?:(left|caller|right|officer|both)\s*:)?\s*(.+?)(?:\s*-\s*|\s+to\s+)(.+?)\s*$/i;
const SIDES = { left: "caller", caller: "caller", right: "officer", officer: "officer" };

// A span on the waveform, tied to a field with its start and one with its end.
class Span {
  constructor(board, kind, from, to, changed) {
    this.board = board;
    this.kind = kind;
    this.fields = { start: from, end: to };
    this.changed = changed;
    this.region = null;
    for (const side of ["start", "end"]) {
      const field = this.fields[side];
      field.addEventListener("input", () => this.show());
      field.addEventListener("keydown", (event) => this.#onKey(event, side));
      field.addEventListener("focus", () => this.#select(true));
      field.addEventListener("blur", () => this.#select(false));
    }
  }

  // From and to in the audio, seconds; null if the fields name none.
  get bounds() {
    const { startS, lengthS } = this.board;
    const [start, end] = [this.fields.start.value, this.fields.end.value];
    if (!start.trim() && !end.trim()) return null;
    const from = (start.trim() ? secondsOf(start) : startS) - startS;
    const to = end.trim() ? secondsOf(end) - startS : lengthS;
    return from < to && to > 0 && from < lengthS ? { start: Math.max(from, 0), end: Math.min(to, lengthS) } : null;
  }

  // Draws what the fields say.
  show() {
    const bounds = this.bounds;
    if (bounds && this.region) this.region.setOptions(bounds);
    else if (bounds) this.take(this.board.addRegion(bounds));
    else this.clear();
    this.changed();
  }

  // Makes a region this span's.
  take(region) {
    if (this.region && this.region !== region) this.clear();
    this.region = region;
    region.span = this;
    region.minLength = LEAST_S;
    Object.assign(region.element.style, { backgroundColor: "transparent", border: "2px solid #0b0c0c", ...LOOKS[this.kind] });
  }

  // Writes where the region is into the fields.
  write({ start, end } = this.region) {
    const { startS } = this.board;
    this.fields.start.value = positionOf(rounded(start + startS));
    this.fields.end.value = positionOf(rounded(end + startS));
    this.changed();
  }

  clear() {
    const region = this.region;
    this.region = null;
    region?.remove();
  }

  play() {
    const bounds = this.bounds;
    if (bounds) this.board.playSpan(bounds.start, bounds.end);
  }

  #onKey(event, side) {
    const direction = { ArrowUp: 1, ArrowDown: -1 }[event.key];
    const bounds = this.bounds;
    if (!direction || !bounds) return;
    event.preventDefault();
    const moved = { ...bounds, [side]: this.board.clamped(rounded(bounds[side] + direction * (event.shiftKey ? COARSE_S : FINE_S))) };
    if (moved.end - moved.start < LEAST_S - 0.001) return;
    this.write(moved);
    this.show();
  }

  #select(isSelected) {
    if (this.region) this.region.element.style.borderWidth = isSelected ? "4px" : "2px";
  }
}

// The one span of a form: what is erased, or what a copy reaches over.
class OneSpan {
  constructor(board, kind, form) {
    this.span = new Span(board, kind, form.querySelector("[data-span-start]"), form.querySelector("[data-span-end]"), () => {});
    this.span.show();
    const play = form.querySelector("[data-span-play]");
    if (play && board.playSpan) {
      play.hidden = false;
      play.addEventListener("click", () => this.span.play());
    }
  }

  add(region) {
    this.span.take(region);
    this.span.write();
    return this.span;
  }
}

// The spans that are silent in a copy: a row of fields each, and one line each in the field that is sent.
class Silences {
  constructor(board, field) {
    this.board = board;
    this.field = field;
    this.rows = document.getElementById("span-rows");
    this.model = document.getElementById("span-row");
    for (const line of field.value.split("\n").filter((one) => one.trim())) this.#read(line);
    field.addEventListener("change", () => this.#readAll());
  }

  add(region) {
    const row = this.#row();
    row.span.take(region);
    row.span.write();
    return row.span;
  }

  #readAll() {
    for (const row of [...this.rows.children]) this.#forget(row);
    for (const line of this.field.value.split("\n").filter((one) => one.trim())) this.#read(line);
  }

  #read(line) {
    const found = LINE.exec(line);
    const row = this.#row();
    row.line = line;
    if (!found || Number.isNaN(secondsOf(found[2])) || Number.isNaN(secondsOf(found[3]))) {
      row.hidden = true;  // a time of day, or a mistake: its line stays as it was typed
      return;
    }
    row.querySelector("select").value = SIDES[(found[1] ?? "").toLowerCase()] ?? "both";
    [row.span.fields.start.value, row.span.fields.end.value] = [found[2], found[3]];
    row.span.show();
    row.line = line;
  }

  #row() {
    const row = this.model.content.firstElementChild.cloneNode(true);
    const [from, to] = row.querySelectorAll("input");
    row.span = new Span(this.board, "silence", from, to, () => this.#changed(row));
    row.querySelector("select").addEventListener("change", () => this.#changed(row));
    const play = row.querySelector("[data-play]");
    play.hidden = !this.board.playSpan;
    play.addEventListener("click", () => row.span.play());
    row.querySelector("[data-remove]").addEventListener("click", () => {
      const next = row.nextElementSibling ?? row.previousElementSibling;
      this.#forget(row);
      this.#write();
      (next?.querySelector("input") ?? document.getElementById("player-mark")).focus();
    });
    this.rows.append(row);
    this.#number();
    return row;
  }

  #forget(row) {
    row.span.clear();
    row.remove();
    this.#number();
  }

  #number() {
    [...this.rows.children].forEach((row, at) => { row.querySelector("[data-number]").textContent = at + 1; });
  }

  #changed(row) {
    const { start, end } = row.span.fields;
    const side = row.querySelector("select").value;
    row.line = `${side === "both" ? "" : `${side}: `}${start.value.trim()} to ${end.value.trim()}`;
    this.#write();
  }

  #write() {
    this.field.value = [...this.rows.children].map((row) => row.line).join("\n");
  }
}

// Lets people mark spans for the forms of the page, if it has any.
export const marking = (player) => {
  const form = document.querySelector("[data-spans]");
  if (!form) return;
  const { regions, surfer, wave } = player;
  let isOurs = false;
  const addRegion = (bounds) => {
    isOurs = true;
    const region = regions.addRegion({ ...bounds, drag: true, resize: true });
    isOurs = false;
    return region;
  };
  const board = { ...player, addRegion };
  const kinds = {};
  if (form.dataset.spans === "copy") {
    kinds.silence = new Silences(board, form.querySelector("[name=redact]"));
    kinds.copy = new OneSpan(board, "copy", form);
  } else {
    kinds.erase = new OneSpan(board, "erase", form);
  }
  const kind = () => kinds[document.querySelector("[name=drag]:checked")?.value ?? Object.keys(kinds)[0]];
  for (const one of document.querySelectorAll("[data-with-marks]")) one.hidden = false;
  for (const one of document.querySelectorAll("[data-without-marks]")) one.hidden = true;

  let stop = null;
  wave.addEventListener("pointerdown", () => {  // before the plug-in hears of it: the form may be on another tab
    stop?.();
    stop = form.checkVisibility() ? regions.enableDragSelection({ color: "rgba(11, 12, 12, 0.2)" }) : null;
  }, { capture: true });
  regions.on("region-created", (region) => {  // by dragging
    if (!isOurs) kind().add(region).show();
  });
  regions.on("region-update", (region) => region.span?.write());
  regions.on("region-updated", (region) => {
    region.span?.write();
    region.span?.show();
  });
  regions.on("region-clicked", (region, event) => {
    event.stopPropagation();
    region.span?.fields.start.focus();
  });
  document.getElementById("player-mark").addEventListener("click", () => {
    if (!form.checkVisibility()) document.getElementById("tab_copy")?.click();
    const start = Math.min(rounded(surfer.getCurrentTime()), Math.max(board.lengthS - LEAST_S, 0));
    const region = board.addRegion({ start, end: Math.min(start + NEW_S, board.lengthS) });
    const span = kind().add(region);
    span.show();
    span.fields.start.focus();
  });
};
