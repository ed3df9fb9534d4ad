/* How a stretch of audio moves, for telling speech from tones, music and noise (docs/adr/0064-speech-by-webrtcvad.md); no state, no lock. */
#define _GNU_SOURCE
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core.h"
#include "tones.h"
#include "wide.h"

#define BESIDE_DB 25       /* a frame that far below the loudest is a pause */
#define QUIET_DB 30        /* and so is one below this, of 90 dB for full scale */
#define ENDS 2             /* frames at either end of the order of levels that count for no swing */
#define STEADY_DB 0.5      /* levels of two frames of a tone differ by less */
#define STEADY_CROSSINGS 3 /* and their sign changes by less than so many */
#define DIGIT_EVENTS 8

struct frame {
    double level_db;
    int crossings;
};

WIDE static struct frame frame_of(const int16_t *samples)
{
    int64_t energy = 0;
    int crossings = 0;
    for (int i = 0; i < SPEECH_FRAME; i++)
        energy += (int32_t)samples[i] * samples[i];
    for (int i = 1; i < SPEECH_FRAME; i++)
        crossings += (samples[i] < 0) != (samples[i - 1] < 0);
    return (struct frame){10 * log10((double)energy / SPEECH_FRAME + 1), crossings};
}

static int by_level(const void *a, const void *b)
{
    double left = ((const struct frame *)a)->level_db, right = ((const struct frame *)b)->level_db;
    return (left > right) - (left < right);
}

static int are_steady(const struct frame *frame, const struct frame *other, double least_db)
{
    return frame->level_db >= least_db && other->level_db >= least_db && fabs(frame->level_db - other->level_db) < STEADY_DB &&
           abs(frame->crossings - other->crossings) <= STEADY_CROSSINGS;
}

static int digits_in(const int16_t *samples)
{
    struct tones detector;
    struct tones_event events[DIGIT_EVENTS];
    tones_init(&detector);
    int count = tones_feed(&detector, samples, SPEECH_WINDOW, events, DIGIT_EVENTS), digits = 0;
    for (int i = 0; i < count; i++)
        digits += events[i].kind == TONES_DIGIT_START;
    explicit_bzero(&detector, sizeof detector);
    explicit_bzero(events, sizeof events);
    return digits;
}

void features_of_window(const int16_t *samples, struct window_features *out)
{
    struct frame frames[SPEECH_FRAMES], ordered[SPEECH_FRAMES];
    for (int i = 0; i < SPEECH_FRAMES; i++)
        frames[i] = frame_of(samples + i * SPEECH_FRAME);
    memcpy(ordered, frames, sizeof frames);
    qsort(ordered, SPEECH_FRAMES, sizeof *ordered, by_level);
    double least_db = ordered[SPEECH_FRAMES - 1].level_db - BESIDE_DB, sum = 0, squares = 0;
    least_db = least_db > QUIET_DB ? least_db : QUIET_DB;
    int active = 0, steady = 0;
    for (int i = 0; i < SPEECH_FRAMES; i++) {
        if (frames[i].level_db < least_db)
            continue;
        double share = (double)frames[i].crossings / (SPEECH_FRAME - 1);
        active++;
        sum += share;
        squares += share * share;
        steady += (i > 0 && are_steady(&frames[i], &frames[i - 1], least_db)) ||
                  (i + 1 < SPEECH_FRAMES && are_steady(&frames[i], &frames[i + 1], least_db));
    }
    double variance = active ? squares / active - sum / active * (sum / active) : 0;
    out->swing_db = ordered[SPEECH_FRAMES - 1 - ENDS].level_db - ordered[ENDS].level_db;
    out->crossings = variance > 0 ? sqrt(variance) : 0;
    out->steady = active ? (double)steady / active : 0;
    out->digits = digits_in(samples);
}
