/*
 * Keys that are pressed on a leg, by event packets or as tones in its audio: which of them are somebody else's, what they
 * mean, who hears them and what no recording may hold (docs/media-core.md, Digits).
 */
#include <string.h>

#include "leg.h"
#include "tap.h"
#include "thread.h"

#define STAR_WAIT_NS (1500 * NS_PER_MS)     /* in which the second key of a sequence must come */
#define EVENT_LOST_END_NS (400 * NS_PER_MS) /* every end packet of an event was lost */
#define SAME_PRESS_NS (200 * NS_PER_MS)
#define ECHO_NS (600 * NS_PER_MS)     /* after a tone of the caller's the same on the officer's leg is its echo */
#define ECHO_LEAD_NS (80 * NS_PER_MS) /* a tone that seems to begin so much earlier may still be one */
#define FORGET_NS (2000 * NS_PER_MS)  /* what was keyed, and the last samples of a stream that has stopped */
#define REPORT_NS (40 * NS_PER_MS)    /* 25 keys a second */
#define BURST_NS (2000 * NS_PER_MS)   /* 50 at once */
#define NS_PER_TICK 125000
#define COMPLETE_BIT 1

static void forget_presses(struct leg *leg, int64_t before_ns)
{
    for (int i = 0; i < 2 * RECENT_PRESSES; i++) {
        struct press *press = i % 2 ? &leg->keyed[i / 2] : &leg->sounded[i / 2];
        if (press->to_ns < before_ns)
            *press = (struct press){-1, INT64_MIN / 2, INT64_MIN / 2};
    }
}

/* An event that is over is told from the next by its code, but not for longer than its ends may come again. */
static void forget_event(struct digit_in *event, int64_t before_ns)
{
    if (event->last_ns >= before_ns)
        return;
    event->former_code = NO_KEY;
    if (event->has_ended)
        event->code = NO_KEY;
}

/* Reports a key; of a flood no more than fingers can press, though all of it counts and is silenced. */
static void report_key(struct leg *leg, enum event_kind kind, int code, int64_t b, int64_t c, int64_t now)
{
    int named = kind == EVENT_DIGIT && leg->policy == DTMF_MASK ? 0 : KEYS[code];
    if (leg->reports_ns > now + BURST_NS)
        return;
    leg->reports_ns = (leg->reports_ns > now ? leg->reports_ns : now) + REPORT_NS;
    report(leg->thread->core, (struct event){.kind = kind, .id = leg->id, .a = named, .b = b, .c = c, .at_ns = now});
}

static void end_entry(struct leg *leg, int is_complete, enum digit_source source, int64_t now)
{
    int64_t keys = is_complete ? pin_packed(&leg->pin) : 0;
    report_key(leg, EVENT_SECRET, leg->pin.prefix, keys, source * 2 + (is_complete ? COMPLETE_BIT : 0), now);
    explicit_bzero(&leg->pin, sizeof leg->pin);
    explicit_bzero(&keys, sizeof keys);
    forget_presses(leg, NEVER);
    delay_update(leg, leg->is_pin_near, now);
}

static void begin_entry(struct leg *leg, int code, int64_t now)
{
    pin_begin(&leg->pin, code, now);
    leg_wake_at(leg, leg->pin.until_ns);
}

/* Takes a key that is over, of either carrier, into an entry or as the second of a sequence; 0: it stands alone. */
static int is_taken(struct leg *leg, int code, int is_second, enum digit_source source, int64_t now)
{
    int is_control = is_second && leg->control >> code & 1, is_prefix = is_second && leg->pin_prefixes >> code & 1;
    if (leg->pin.is_on) {
        enum pin_step step = pin_take(&leg->pin, code, leg->control, leg->pin_prefixes, now);
        if (step == PIN_GOES_ON)
            return 1;
        end_entry(leg, step == PIN_COMPLETE, source, now);
        is_control = step == PIN_CONTROL;
        is_prefix = step == PIN_PREFIX;
        if (!is_control && !is_prefix)
            return 1;
    } else {
        leg->digits++;
    }
    if (is_control)
        report_key(leg, EVENT_CONTROL, code, source, 0, now);
    if (is_prefix)
        begin_entry(leg, code, now);
    return is_control || is_prefix;
}

/* --- event packets, which can be kept from the other side until it is known what they mean */

/* The star waited in vain, or its leg's rule changed: it goes on after all. */
static void release_star(struct leg *leg, int64_t now)
{
    if (!leg->star.is_held)
        return;
    leg->star.is_held = 0;
    dtmf_replay(leg, STAR, leg->star.duration, now);
    report_key(leg, EVENT_DIGIT, STAR, SOURCE_RFC4733, 0, now);
}

/* An event is over: what was kept back is decided (audio/dtmf.py has the table). */
static void event_over(struct leg *leg, struct digit_in *event, int64_t now)
{
    int code = event->code, is_second = leg->star.is_held, is_entry = leg->pin.is_on;
    int is_held = event->is_held && leg->policy == DTMF_HOLD_STAR;
    event->has_ended = 1;
    if (is_taken(leg, code, is_second, SOURCE_RFC4733, now)) {
        leg->star.is_held = is_second && is_entry;
        delay_update(leg, 0, now);
        return;
    }
    if (is_second)
        release_star(leg, now);
    if (code == STAR && is_held) {
        leg->star = (struct star){.is_held = 1, .duration = event->duration, .until_ns = now + STAR_WAIT_NS};
        leg_wake_at(leg, leg->star.until_ns);
    } else {
        if (is_held)
            dtmf_replay(leg, code, event->duration, now);
        report_key(leg, EVENT_DIGIT, code, SOURCE_RFC4733, 0, now);
    }
    delay_update(leg, 0, now);
}

static void begin_event(struct leg *leg, int64_t now)
{
    struct digit_in *event = &leg->event;
    int may_mean = event->code == STAR || leg->star.is_held || leg->pin.is_on || (leg->peer && digits_are_busy(leg->peer));
    event->is_held = leg->policy == DTMF_HOLD_STAR ? may_mean : leg->policy != DTMF_PASS;
    memmove(leg->keyed + 1, leg->keyed, sizeof *leg->keyed * (RECENT_PRESSES - 1));
    *leg->keyed = (struct press){event->code, now, now};
    if (leg->star.is_held && leg->pin_prefixes >> event->code & 1)
        delay_update(leg, 1, now); /* tones that come beside the next events must find the audio delayed already */
}

void press_event(struct leg *leg, const struct packet *packet)
{
    struct dtmf_packet taken;
    struct digit_in *event = &leg->event;
    int64_t now = packet->arrival_ns;
    if (!dtmf_take(event, packet, &taken)) {
        leg->dropped++;
        delay_swallowed(leg, packet);
        return;
    }
    if (taken.begins) {
        if (taken.former.has_event && !taken.former.has_ended)
            event_over(leg, &taken.former, now);
        begin_event(leg, now);
    }
    if (taken.is_key && !event->has_ended)
        leg->keyed->to_ns = now;
    if (leg->tap) /* after the prefix of an entry, whose ends may all be lost, is known to be over */
        tap_mask_event(leg->tap, leg->channel, leg->pin.is_on, packet, taken.duration);
    if (taken.is_key ? event->is_held : taken.is_late || leg->policy != DTMF_PASS)
        delay_swallowed(leg, packet);
    else
        dtmf_pass(leg, packet, taken.duration);
    if (!taken.is_key || event->has_ended)
        return;
    if (taken.is_end)
        event_over(leg, event, now);
    else
        leg_wake_at(leg, now + EVENT_LOST_END_NS);
}

/* --- tones, which are known only once they have sounded */

/*
 * A tone that is no key of the leg's own: its event packets are, or an officer's telephone hears the other party's tone
 * (tests/reference/dtmf.py, is_echo). With an officer on either side the tone that began first is the key, so that never
 * both are taken for an echo.
 */
static int is_another(const struct leg *leg, const struct press *tone)
{
    const struct press *key = leg->keyed;
    if (tone->code == key->code && tone->from_ns <= key->to_ns + SAME_PRESS_NS && key->from_ns <= tone->to_ns + SAME_PRESS_NS)
        return 1;
    const struct leg *other = leg->tap ? leg->tap->legs[leg->channel == LEFT ? RIGHT : LEFT] : NULL;
    if (!other || (leg->channel == LEFT && leg->policy != DTMF_HOLD_STAR))
        return 0;
    int64_t lead_ns = leg->channel == LEFT ? -1 : other->policy == DTMF_HOLD_STAR ? 0 : ECHO_LEAD_NS;
    for (int i = 0; i < 2 * RECENT_PRESSES; i++) {
        const struct press *press = i % 2 ? &other->keyed[i / 2] : &other->sounded[i / 2];
        if (press->code == tone->code && press->from_ns - lead_ns <= tone->from_ns &&
            tone->from_ns <= press->to_ns + ECHO_NS)
            return 1;
    }
    return 0;
}

/* Notes a tone that begins, or how long it has sounded, and silences the part of it that is known so far. */
static void note_tone(struct leg *leg, int is_start, int digit, int64_t from, int64_t to, int64_t now)
{
    struct press *press = leg->sounded;
    if (is_start)
        memmove(press + 1, press, sizeof *press * (RECENT_PRESSES - 1));
    press->code = digit_code(digit);
    press->from_ns = now - (leg->tones.position - from) * NS_PER_TICK;
    press->to_ns = now - (leg->tones.position - to) * NS_PER_TICK;
    if (leg->has_tone_shift && leg->tap)
        tap_mask_tone(leg->tap, leg->channel, leg->pin.is_on, from + leg->tone_shift, to + leg->tone_shift, now);
}

/* Takes a digit that begins to sound, or is over. */
static void take_digit(struct leg *leg, const struct tones_event *event, int64_t now)
{
    int is_start = event->kind == TONES_DIGIT_START, is_entry = leg->pin.is_on;
    note_tone(leg, is_start, event->digit, event->from, event->to, now);
    const struct press tone = *leg->sounded;
    /* of a control sequence or a secret prefix that a star in band has begun */
    int is_second = leg->policy == DTMF_HOLD_STAR && leg->sounded_star_ns != NEVER &&
                    tone.from_ns - leg->sounded_star_ns <= STAR_WAIT_NS;
    if (is_start) {
        if (is_second && leg->pin_prefixes >> tone.code & 1)
            delay_update(leg, 1, now); /* the end of this key is known too late to delay what comes next */
        return;
    }
    if (!is_another(leg, &tone)) {
        if (!is_taken(leg, tone.code, is_second, SOURCE_INBAND, now)) {
            leg->sounded_star_ns = tone.code == STAR ? tone.to_ns : NEVER;
            report_key(leg, EVENT_DIGIT, tone.code, SOURCE_INBAND, 0, now);
        } else if (!is_entry) {
            leg->sounded_star_ns = NEVER;
        }
    }
    delay_update(leg, 0, now);
}

static void take_tones(struct leg *leg, struct tones_event *events, int count, int64_t now)
{
    for (int i = 0; i < count; i++) {
        const struct tones_event *event = &events[i];
        if (event->digit)
            take_digit(leg, event, now);
        else if (event->kind != TONES_VOICE)
            report(leg->thread->core, (struct event){.kind = EVENT_FAX, .id = leg->id, .a = event->kind == TONES_CED,
                                                     .b = event->pause});
        else if (leg->reports_voice)
            report(leg->thread->core, (struct event){.kind = EVENT_VOICE, .id = leg->id});
    }
    explicit_bzero(events, sizeof *events * (size_t)count);
}

int press_audio(struct leg *leg, const struct packet *packet, int is_placed, int64_t position)
{
    struct tones_event events[MAX_TONES_EVENTS];
    int64_t now = packet->arrival_ns;
    enum inband_join join = inband_join(leg, packet);
    if (join == INBAND_PASSED)
        return 0;
    if (join != INBAND_NEXT)
        delay_cut(leg);
    if (join == INBAND_BEHIND_GAP)
        take_tones(leg, events, inband_skip(leg, packet, events), now);
    take_tones(leg, events, inband_feed(leg, packet, join == INBAND_ANEW, is_placed, position, events), now);
    if (leg->tones.digit) /* a key held for long is silenced as it goes, before the writer takes it */
        note_tone(leg, 0, leg->tones.digit, leg->tones.digit_from, leg->tones.digit_to, now);
    return 1;
}

/* --- what is due, and what is asked for */

int64_t press_tick(struct leg *leg, int64_t now)
{
    int is_pressed = leg->event.has_event && !leg->event.has_ended;
    if (is_pressed && now - leg->event.last_ns >= EVENT_LOST_END_NS) {
        event_over(leg, &leg->event, now);
        is_pressed = 0;
    }
    if (leg->star.is_held && now >= leg->star.until_ns && !is_pressed)
        release_star(leg, now);
    int64_t next = is_pressed ? leg->event.last_ns + EVENT_LOST_END_NS : leg->star.is_held ? leg->star.until_ns : NEVER;
    int64_t until = pin_until(&leg->pin, is_pressed || leg->tones.digit);
    if (now < until)
        return until < next ? until : next;
    end_entry(leg, 0, SOURCE_RFC4733, now);
    return next;
}

void press_house(struct leg *leg, int64_t now)
{
    struct tones_event events[MAX_TONES_EVENTS];
    forget_presses(leg, now - FORGET_NS);
    forget_event(&leg->event, now - FORGET_NS);
    if (!leg->has_tone_stream || now - leg->last_arrival_ns <= FORGET_NS)
        return;
    take_tones(leg, events, inband_finish(leg, events), now);
    inband_leave(leg);
}

/* Nothing is held back of the leg, nor may it have to be soon. */
int press_is_idle(const struct leg *leg, int64_t now)
{
    int is_event = leg->event.has_event && !leg->event.has_ended;
    int is_tone = leg->tones.digit || (leg->sounded_star_ns != NEVER && now - leg->sounded_star_ns < STAR_WAIT_NS);
    return !leg->is_delaying && !leg->is_pin_near && !leg->pin.is_on && !is_event && !is_tone && !leg->star.is_held;
}

void press_init(struct leg *leg)
{
    forget_presses(leg, NEVER);
    leg->sounded_star_ns = NEVER;
}

void press_forget(struct leg *leg)
{
    inband_reset(leg);
    delay_drop(leg);
    leg->sounded_star_ns = NEVER;
    leg->star.is_held = 0;
    explicit_bzero(&leg->event, sizeof leg->event);
}

void press_end(struct leg *leg, int64_t now)
{
    if (leg->pin.is_on)
        end_entry(leg, 0, SOURCE_RFC4733, now);
}

int press_set_policy(struct leg *leg, enum dtmf_policy policy, unsigned control, unsigned prefixes, int64_t now)
{
    press_end(leg, now);
    if (policy != DTMF_HOLD_STAR)
        release_star(leg, now);
    leg->policy = (uint8_t)policy;
    leg->control = (uint16_t)control;
    leg->pin_prefixes = (uint16_t)prefixes;
    leg->sounded_star_ns = NEVER;
    return delay_update(leg, 0, now);
}

int press_set_tones(struct leg *leg, int is_on, int64_t now)
{
    inband_set(leg, is_on);
    return delay_update(leg, leg->is_pin_near, now);
}
