// Lets a listener mute one side of a call. The sound stays in the media element: nothing is copied or kept.

// Returns a function that sets which sides are heard. Web Audio is started when a side is first muted.
export const sidesOf = (audio) => {
  let gains;
  const start = () => {
    const context = new AudioContext();
    const split = context.createChannelSplitter(2);
    const join = context.createChannelMerger(2);
    context.createMediaElementSource(audio).connect(split);
    gains = [0, 1].map((side) => {
      const gain = context.createGain();
      split.connect(gain, side);
      gain.connect(join, 0, side);
      return gain;
    });
    join.connect(context.destination);
    context.resume();
  };
  return (isHeard) => {
    if (!gains && isHeard.every(Boolean)) return;
    if (!gains) start();
    gains.forEach((gain, side) => { gain.gain.value = isHeard[side] ? 1 : 0; });
  };
};
