/* Entries behind a secret prefix: keys that nobody hears and that no recording holds (docs/media-core.md, Secrets). */
#include <string.h>

#include "state.h"

#define STAR 10
#define HASH 11
#define ENTRY_WAIT_NS (10000 * NS_PER_MS)
#define COMPLETE_BIT 1

void secret_begin(struct leg *leg, int code, int64_t now)
{
    explicit_bzero(&leg->secret, sizeof leg->secret);
    leg->secret.is_on = 1;
    leg->secret.prefix = (uint8_t)code;
    leg->secret.until_ns = now + ENTRY_WAIT_NS;
    leg_wake_at(leg, leg->secret.until_ns);
    hold_update(leg, now);
}

void secret_end(struct leg *leg, int is_complete, enum digit_source source, int64_t now)
{
    struct secret *secret = &leg->secret;
    if (!secret->is_on)
        return;
    int64_t keys = 0;
    if (is_complete) {
        for (int i = 0; i < secret->count; i++)
            keys |= (int64_t)secret->keys[i] << 4 * i;
        keys |= (int64_t)secret->count << 48;
    }
    report_at(leg, EVENT_SECRET, KEYS[secret->prefix], keys, source * 2 + (is_complete ? COMPLETE_BIT : 0), now);
    explicit_bzero(secret, sizeof *secret);
    explicit_bzero(&keys, sizeof keys);
    presses_forget(&leg->keyed, NEVER);
    presses_forget(&leg->sounded, NEVER);
    hold_update(leg, now);
}

/* Takes a key that is over; 0 if no entry is under way, else it is withheld. audio/dtmf.py has the same in Python. */
int secret_take(struct leg *leg, int code, enum digit_source source, int64_t now)
{
    struct secret *secret = &leg->secret;
    if (!secret->is_on)
        return 0;
    int has_star = secret->has_star;
    secret->has_star = 0;
    secret->until_ns = now + ENTRY_WAIT_NS;
    if (has_star && leg->control >> code & 1) { /* whoever must pause now need not wait for an entry to end */
        secret_end(leg, 0, source, now);
        report_at(leg, EVENT_CONTROL, KEYS[code], source, 0, now);
    } else if (has_star && leg->secret_keys >> code & 1) {
        secret_end(leg, 0, source, now);
        secret_begin(leg, code, now);
    } else if (code == HASH && !has_star) {
        secret_end(leg, !secret->is_spoiled, source, now);
    } else if (code == STAR) {
        secret->has_star = secret->is_spoiled = 1;
    } else if (secret->count == SECRET_KEYS) {
        secret->is_spoiled = 1;
    } else {
        secret->keys[secret->count++] = (uint8_t)code;
    }
    return 1;
}

/* Breaks an entry off in which no key has come for long; a key that is down still belongs to it. */
int64_t secret_tick(struct leg *leg, int is_pressed, int64_t now)
{
    if (!leg->secret.is_on)
        return NEVER;
    int64_t until = leg->secret.until_ns;
    if (is_pressed || leg->tones.digit)
        until += ENTRY_WAIT_NS;
    if (now < until)
        return until;
    secret_end(leg, 0, SOURCE_RFC4733, now);
    return NEVER;
}
