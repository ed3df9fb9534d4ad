/* Tones in the audio of a leg: masks, digits, control sequences, echoes, fax (docs/media-core.md, Digits). */
#include <errno.h>
#include <string.h>

#include "state.h"

#define KEYS "0123456789*#ABCD"
#define STAR 10
#define STAR_WAIT_NS (1500 * NS_PER_MS)
#define SAME_PRESS_NS (200 * NS_PER_MS)
#define LONGEST_GAP 80000 /* ticks; a larger step of the timestamp is a new clock, not silence */
#define LATEST (-8000)
#define MAX_EVENTS (4 + MAX_PACKET / TONES_BLOCK)
#define NS_PER_TICK 125000

int digit_code(int digit)
{
    const char *at = digit ? strchr(KEYS, digit) : NULL;
    return at ? (int)(at - KEYS) : -1;
}

static int is_same_press(const struct heard *a, const struct heard *b)
{
    return a->code == b->code && a->from_ns <= b->to_ns + SAME_PRESS_NS && b->from_ns <= a->to_ns + SAME_PRESS_NS;
}

/* The officer's telephone hears the caller's tone: not a key of the officer's. */
static int is_echo(const struct leg *leg)
{
    const struct leg *left = leg->tap && leg->channel == RIGHT ? leg->tap->legs[LEFT] : NULL;
    return left && (is_same_press(&leg->sounded, &left->sounded) || is_same_press(&leg->sounded, &left->keyed));
}

static void digit_heard(struct leg *leg)
{
    struct core *core = leg->thread->core;
    int code = leg->sounded.code;
    if (is_same_press(&leg->sounded, &leg->keyed) || is_echo(leg))
        return; /* reported by its event packets, or somebody else's */
    leg->digits++;
    int is_second = leg->sounded_star_ns != NEVER && leg->sounded.from_ns - leg->sounded_star_ns <= STAR_WAIT_NS;
    leg->sounded_star_ns = NEVER;
    if (leg->policy == DTMF_HOLD_STAR && is_second && leg->control >> code & 1) {
        report(core, EVENT_CONTROL, leg->id, KEYS[code], SOURCE_INBAND, 0);
        return;
    }
    if (code == STAR)
        leg->sounded_star_ns = leg->sounded.to_ns;
    report(core, EVENT_DIGIT, leg->id, leg->policy == DTMF_MASK ? 0 : KEYS[code], SOURCE_INBAND, 0);
}

/* Notes when a tone sounded, and silences the part of it that is known so far. */
static void note_tone(struct leg *leg, int digit, int64_t from, int64_t to, int64_t arrival_ns)
{
    leg->sounded.code = digit_code(digit);
    leg->sounded.from_ns = arrival_ns - (leg->tones.position - from) * NS_PER_TICK;
    leg->sounded.to_ns = arrival_ns - (leg->tones.position - to) * NS_PER_TICK;
    if (leg->has_tone_shift)
        tap_mask_left(leg, from + leg->tone_shift - DIGIT_MARGIN_TICKS, to + leg->tone_shift + DIGIT_MARGIN_TICKS,
                      arrival_ns);
}

static void take_events(struct leg *leg, const struct tones_event *events, int count, int64_t arrival_ns)
{
    for (int i = 0; i < count; i++) {
        const struct tones_event *event = &events[i];
        if (event->kind == TONES_CNG || event->kind == TONES_CED) {
            report(leg->thread->core, EVENT_FAX, leg->id, event->kind == TONES_CED, 0, 0);
            continue;
        }
        note_tone(leg, event->digit, event->from, event->to, arrival_ns);
        if (event->kind == TONES_DIGIT_END)
            digit_heard(leg);
    }
}

void hear_audio(struct leg *leg, const struct packet *packet, int is_placed, int64_t position)
{
    struct tones_event events[MAX_EVENTS];
    int16_t *samples = leg->thread->samples;
    int32_t gap = (int32_t)(packet->ts - leg->tone_next_ts);
    int is_new = !leg->has_tone_stream || leg->tone_ssrc != packet->ssrc || gap > LONGEST_GAP || gap < LATEST;
    if (!is_new && gap < 0)
        return; /* late or double: the detector has passed it */
    if (!is_new && gap > 0)
        take_events(leg, events, tones_skip(&leg->tones, gap, events, MAX_EVENTS), packet->arrival_ns);
    leg->has_tone_stream = 1;
    leg->tone_ssrc = packet->ssrc;
    leg->tone_next_ts = packet->ts + (uint32_t)packet->length;
    if (is_placed) {
        leg->tone_shift = position - leg->tones.position;
        leg->has_tone_shift = 1;
    }
    const int16_t *linear = g711_linear[leg->media.codec == CODEC_PCMA];
    for (int i = 0; i < packet->length; i++)
        samples[i] = linear[packet->payload[i]];
    int count = tones_feed(&leg->tones, samples, (size_t)packet->length, events, MAX_EVENTS);
    take_events(leg, events, count, packet->arrival_ns);
    if (leg->tones.digit) /* a key held for long is silenced as it goes, before the writer takes it */
        note_tone(leg, leg->tones.digit, leg->tones.digit_from, leg->tones.digit_to, packet->arrival_ns);
    if (leg->tap)
        explicit_bzero(samples, sizeof *samples * (size_t)packet->length);
}

int core_detect_tones(struct core *core, int64_t id, int is_on)
{
    int error;
    struct leg *leg = leg_lock(core, id, &error);
    if (!leg)
        return error;
    if (is_on && !leg->hears_tones) {
        tones_init(&leg->tones);
        leg->has_tone_stream = leg->has_tone_shift = 0;
    }
    leg->hears_tones = (uint8_t)is_on;
    thread_unlock(leg->thread);
    return 0;
}
