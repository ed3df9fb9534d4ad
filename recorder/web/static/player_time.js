// Positions in a recording as people write them: "1:05.3", "1:02:03" or seconds.

// Returns the seconds of a position, or NaN where it is none.
export const secondsOf = (text) => {
  const parts = text.trim().split(":");
  if (parts.length > 3 || !parts.every((part) => /^\d{1,6}(\.\d{1,6})?$/.test(part))) return NaN;
  if (parts.slice(1).some((part) => Number(part) >= 60)) return NaN;
  return parts.reduce((total, part) => total * 60 + Number(part), 0);
};

// Returns a position in words of the page: tenths only where there are any.
export const positionOf = (seconds) => {
  const tenths = Math.round(Math.max(seconds, 0) * 10);
  const rest = tenths % 600;
  const minutes = Math.floor(tenths / 600);
  const shown = String(Math.floor(rest / 10)).padStart(2, "0") + (rest % 10 ? `.${rest % 10}` : "");
  if (minutes < 60) return `${minutes}:${shown}`;
  return `${Math.floor(minutes / 60)}:${String(minutes % 60).padStart(2, "0")}:${shown}`;
};

// Returns the second that a position is in, as a running clock shows it.
export const clockOf = (seconds) => positionOf(Math.floor(Math.max(seconds, 0)));

// Returns a position to a tenth of a second.
export const rounded = (seconds) => Math.round(seconds * 10) / 10;
