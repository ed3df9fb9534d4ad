/* Entries behind a secret prefix: keys that nobody hears and that no recording holds (docs/media-core.md, Secrets). */
#include <string.h>

#include "state.h"

#define STAR 10
#define HASH 11
#define ENTRY_WAIT_NS (10000 * NS_PER_MS)
#define COMPLETE_BIT 1

void pin_begin(struct leg *leg, int code, int64_t now)
{
    explicit_bzero(&leg->pin, sizeof leg->pin);
    leg->pin.is_on = 1;
    leg->pin.prefix = (uint8_t)code;
    leg->pin.until_ns = now + ENTRY_WAIT_NS;
    leg_wake_at(leg, leg->pin.until_ns);
    delay_update(leg, now);
}

void pin_end(struct leg *leg, int is_complete, enum digit_source source, int64_t now)
{
    struct pin_entry *pin = &leg->pin;
    if (!pin->is_on)
        return;
    int64_t keys = 0;
    if (is_complete) {
        for (int i = 0; i < pin->count; i++)
            keys |= (int64_t)pin->keys[i] << 4 * i;
        keys |= (int64_t)pin->count << 48;
    }
    report_at(leg, EVENT_SECRET, KEYS[pin->prefix], keys, source * 2 + (is_complete ? COMPLETE_BIT : 0), now);
    explicit_bzero(pin, sizeof *pin);
    explicit_bzero(&keys, sizeof keys);
    presses_forget(&leg->keyed, NEVER);
    presses_forget(&leg->sounded, NEVER);
    delay_update(leg, now);
}

/* Takes a key that is over; 0 if no entry is under way, else it is withheld. audio/dtmf.py has the same in Python. */
int pin_take(struct leg *leg, int code, enum digit_source source, int64_t now)
{
    struct pin_entry *pin = &leg->pin;
    if (!pin->is_on)
        return 0;
    int has_star = pin->has_star;
    pin->has_star = 0;
    pin->until_ns = now + ENTRY_WAIT_NS;
    if (has_star && leg->control >> code & 1) { /* whoever must pause now need not wait for an entry to end */
        pin_end(leg, 0, source, now);
        report_at(leg, EVENT_CONTROL, KEYS[code], source, 0, now);
    } else if (has_star && leg->pin_prefixes >> code & 1) {
        pin_end(leg, 0, source, now);
        pin_begin(leg, code, now);
    } else if (code == HASH && !has_star) {
        pin_end(leg, !pin->is_spoiled, source, now);
    } else if (code == STAR) {
        pin->has_star = pin->is_spoiled = 1;
    } else if (pin->count == PIN_KEYS) {
        pin->is_spoiled = 1;
    } else {
        pin->keys[pin->count++] = (uint8_t)code;
    }
    return 1;
}

/* Breaks an entry off in which no key has come for long; a key that is down still belongs to it. */
int64_t pin_tick(struct leg *leg, int is_pressed, int64_t now)
{
    if (!leg->pin.is_on)
        return NEVER;
    int64_t until = leg->pin.until_ns;
    if (is_pressed || leg->tones.digit)
        until += ENTRY_WAIT_NS;
    if (now < until)
        return until;
    pin_end(leg, 0, SOURCE_RFC4733, now);
    return NEVER;
}
