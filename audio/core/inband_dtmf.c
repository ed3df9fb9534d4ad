/* Tones in the audio of a leg: masks, digits, control sequences, echoes, fax (docs/media-core.md, Digits). */
#include <errno.h>
#include <string.h>

#include "state.h"

#define STAR 10
#define SAME_PRESS_NS (200 * NS_PER_MS)
#define ECHO_NS (600 * NS_PER_MS)     /* after a tone of the caller's the same on the officer's leg is its echo */
#define ECHO_LEAD_NS (80 * NS_PER_MS) /* a tone that seems to begin so much earlier may still be one */
#define LONGEST_GAP 80000 /* ticks; a larger step of the timestamp is a new clock, not silence */
#define MAX_EVENTS (4 + MAX_PACKET / TONES_BLOCK)
#define NS_PER_TICK 125000

int digit_code(int digit)
{
    const char *at = digit ? strchr(KEYS, digit) : NULL;
    return at ? (int)(at - KEYS) : -1;
}

struct heard *press_now(struct presses *presses)
{
    return &presses->list[presses->newest];
}

void press_begin(struct presses *presses, int code, int64_t from_ns)
{
    presses->newest = (presses->newest + 1) % RECENT_PRESSES;
    *press_now(presses) = (struct heard){code, from_ns, from_ns};
}

void presses_forget(struct presses *presses, int64_t before_ns)
{
    for (int i = 0; i < RECENT_PRESSES; i++)
        if (presses->list[i].to_ns < before_ns)
            presses->list[i] = (struct heard){-1, INT64_MIN / 2, INT64_MIN / 2};
}

/* One key that came as a tone and as event packets. */
static int is_same_press(const struct heard *a, const struct heard *b)
{
    return a->code == b->code && a->from_ns <= b->to_ns + SAME_PRESS_NS && b->from_ns <= a->to_ns + SAME_PRESS_NS;
}

static int has_echo(const struct presses *other, const struct heard *tone, int64_t lead_ns)
{
    for (int i = 0; i < RECENT_PRESSES; i++) {
        const struct heard *press = &other->list[i];
        if (press->code == tone->code && press->from_ns - lead_ns <= tone->from_ns &&
            tone->from_ns <= press->to_ns + ECHO_NS)
            return 1;
    }
    return 0;
}

/* An officer's telephone hears the other party's tone: not a key of the officer's (tests/reference/dtmf.py, is_echo).
   With an officer on either side the tone that began first is the key, so that never both are taken for an echo. */
static int is_echo(const struct leg *leg, const struct heard *tone)
{
    const struct leg *other = leg->tap ? leg->tap->legs[leg->channel == LEFT ? RIGHT : LEFT] : NULL;
    if (!other || (leg->channel == LEFT && leg->policy != DTMF_HOLD_STAR))
        return 0;
    int64_t lead_ns = leg->channel == LEFT ? -1 : other->policy == DTMF_HOLD_STAR ? 0 : ECHO_LEAD_NS;
    return has_echo(&other->sounded, tone, lead_ns) || has_echo(&other->keyed, tone, lead_ns);
}

/* The tone would end a control sequence or a secret prefix that a star in band has begun. */
static int is_second(const struct leg *leg, const struct heard *tone)
{
    return leg->policy == DTMF_HOLD_STAR && leg->sounded_star_ns != NEVER &&
           tone->from_ns - leg->sounded_star_ns <= STAR_WAIT_NS;
}

static void digit_heard(struct leg *leg, int64_t now)
{
    const struct heard tone = *press_now(&leg->sounded);
    if (is_same_press(&tone, press_now(&leg->keyed)) || is_echo(leg, &tone))
        return; /* reported by its event packets, or somebody else's */
    if (pin_take(leg, tone.code, SOURCE_INBAND, now))
        return;
    leg->digits++;
    int ends_sequence = is_second(leg, &tone);
    leg->sounded_star_ns = NEVER;
    if (ends_sequence && leg->control >> tone.code & 1) {
        report_at(leg, EVENT_CONTROL, KEYS[tone.code], SOURCE_INBAND, 0, now);
        return;
    }
    if (ends_sequence && leg->pin_prefixes >> tone.code & 1) {
        pin_begin(leg, tone.code, now);
        return;
    }
    if (tone.code == STAR)
        leg->sounded_star_ns = tone.to_ns;
    report_at(leg, EVENT_DIGIT, leg->policy == DTMF_MASK ? 0 : KEYS[tone.code], SOURCE_INBAND, 0, now);
}

/* Notes how long a tone has sounded, and silences the part of it that is known so far. */
static void note_tone(struct leg *leg, int digit, int64_t from, int64_t to, int64_t arrival_ns)
{
    struct heard *press = press_now(&leg->sounded);
    press->code = digit_code(digit);
    press->from_ns = arrival_ns - (leg->tones.position - from) * NS_PER_TICK;
    press->to_ns = arrival_ns - (leg->tones.position - to) * NS_PER_TICK;
    if (leg->has_tone_shift)
        tap_mask_tone(leg, from + leg->tone_shift - DIGIT_MARGIN_TICKS, to + leg->tone_shift + DIGIT_MARGIN_TICKS,
                      arrival_ns);
}

/* The key after which secret ones may follow: its own end is known too late to delay what comes next. */
static void look_out(struct leg *leg, int64_t now)
{
    const struct heard *tone = press_now(&leg->sounded);
    if (!is_second(leg, tone) || !(leg->pin_prefixes >> tone->code & 1))
        return;
    leg->is_pin_near = 1;
    delay_update(leg, now);
}

static void take_events(struct leg *leg, const struct tones_event *events, int count, int64_t arrival_ns)
{
    for (int i = 0; i < count; i++) {
        const struct tones_event *event = &events[i];
        if (event->kind == TONES_CNG || event->kind == TONES_CED) {
            report(leg->thread->core, EVENT_FAX, leg->id, event->kind == TONES_CED, 0, 0);
            continue;
        }
        if (event->kind == TONES_VOICE) {
            if (leg->reports_voice)
                report(leg->thread->core, EVENT_VOICE, leg->id, 0, 0, 0);
            continue;
        }
        if (event->kind == TONES_DIGIT_START)
            press_begin(&leg->sounded, -1, arrival_ns);
        note_tone(leg, event->digit, event->from, event->to, arrival_ns);
        if (event->kind == TONES_DIGIT_START) {
            look_out(leg, arrival_ns);
            continue;
        }
        digit_heard(leg, arrival_ns);
        leg->is_pin_near = 0;
        delay_update(leg, arrival_ns);
    }
}

static void linear_of(struct leg *leg, const struct packet *packet, int16_t *samples)
{
    if (packet->codec == CODEC_G722) {
        g722_decode_low(&leg->decoder, packet->payload, packet->length, samples);
        return;
    }
    const int16_t *linear = g711_linear[packet->codec == CODEC_PCMA];
    for (int i = 0; i < packet->length; i++)
        samples[i] = linear[packet->payload[i]];
}

/* The stream has stopped: ends what sounds, and keeps none of its samples. */
void inband_end(struct leg *leg, int64_t now)
{
    struct tones_event events[MAX_EVENTS];
    int count = tones_skip(&leg->tones, 8 * TONES_BLOCK, events, MAX_EVENTS);
    take_events(leg, events, count, now);
    explicit_bzero(events, sizeof *events * (size_t)count);
    explicit_bzero(&leg->decoder, sizeof leg->decoder);
    leg->has_tone_stream = leg->has_tone_shift = 0;
}

void inband_reset(struct leg *leg)
{
    if (leg->hears_tones)
        tones_init(&leg->tones);
    explicit_bzero(&leg->decoder, sizeof leg->decoder);
    leg->has_tone_stream = leg->has_tone_shift = 0;
    leg->sounded_star_ns = NEVER;
    explicit_bzero(&leg->streams, sizeof leg->streams);
}

/* Late or double, by its number: the detector has been past it. */
static int has_passed(const struct leg *leg, const struct packet *packet)
{
    int16_t after = (int16_t)(packet->seq - leg->tone_seq);
    return after > -MAX_MISORDER && (after < 0 || (after == 0 && packet->ts != leg->tone_next_ts));
}

int inband_audio(struct leg *leg, const struct packet *packet, int is_placed, int64_t position)
{
    struct tones_event events[MAX_EVENTS];
    int16_t *samples = leg->thread->samples;
    int32_t gap = (int32_t)(packet->ts - leg->tone_next_ts);
    int is_new = !leg->has_tone_stream || leg->tone_ssrc != packet->ssrc || gap > LONGEST_GAP;
    if (!is_new && has_passed(leg, packet))
        return 0;
    is_new |= gap < 0; /* an earlier timestamp alone is a clock that has stepped back: what is said now is new */
    if (is_new || gap > 0)
        delay_cut(leg);
    if (is_new || packet->codec != leg->tone_codec)
        g722_init(&leg->decoder);
    if (!is_new && gap > 0)
        take_events(leg, events, tones_skip(&leg->tones, gap, events, MAX_EVENTS), packet->arrival_ns);
    leg->has_tone_stream = 1;
    leg->tone_ssrc = packet->ssrc;
    leg->tone_codec = (uint8_t)packet->codec;
    leg->tone_next_ts = packet->ts + (uint32_t)packet->length;
    leg->tone_seq = packet->seq;
    if (is_placed) {
        leg->tone_shift = position - leg->tones.position;
        leg->has_tone_shift = 1;
    }
    linear_of(leg, packet, samples);
    int count = tones_feed(&leg->tones, samples, (size_t)packet->length, events, MAX_EVENTS);
    take_events(leg, events, count, packet->arrival_ns);
    if (leg->tones.digit) /* a key held for long is silenced as it goes, before the writer takes it */
        note_tone(leg, leg->tones.digit, leg->tones.digit_from, leg->tones.digit_to, packet->arrival_ns);
    explicit_bzero(samples, sizeof *samples * (size_t)packet->length);
    if (count)
        explicit_bzero(events, sizeof events);
    return 1;
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
    if (!is_on)
        explicit_bzero(&leg->tones, sizeof leg->tones);
    leg->hears_tones = (uint8_t)is_on;
    delay_update(leg, core_now(leg->thread->core));
    error = leg->is_delaying && !leg->delay ? -ENOMEM : 0;
    thread_unlock(leg->thread);
    return error;
}

int core_report_voice(struct core *core, int64_t id, int is_on)
{
    int error;
    struct leg *leg = leg_lock(core, id, &error);
    if (!leg)
        return error;
    leg->reports_voice = (uint8_t)is_on;
    thread_unlock(leg->thread);
    return 0;
}
