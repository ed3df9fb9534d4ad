"use strict";
// Ties the player to the waveform and to the table of spans. Nothing is loaded before somebody plays.

const sound = document.getElementById("sound");
const wave = document.getElementById("wave");
const head = document.getElementById("wave-head");

const playFrom = (seconds) => {
  sound.currentTime = seconds;
  sound.play();
};

if (sound) {
  for (const button of document.querySelectorAll("[data-from]")) {
    button.hidden = false;
    button.addEventListener("click", () => playFrom(Number(button.dataset.from)));
  }
}

if (sound && wave) {
  const lengthS = Number(wave.dataset.lengthS);
  document.getElementById("wave-hint").hidden = false;
  wave.classList.add("wave-seeks");
  wave.addEventListener("click", (event) => {
    const { left, width } = wave.getBoundingClientRect();
    playFrom(((event.clientX - left) / width) * lengthS);
  });
  const show = () => {
    const x = (Math.min(sound.currentTime / lengthS, 1) * 1000).toFixed(1);
    head.setAttribute("d", `M${x} 0V240`);
    head.setAttribute("visibility", "visible");
  };
  for (const one of ["timeupdate", "seeking", "play"]) sound.addEventListener(one, show);
}
