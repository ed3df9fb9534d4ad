/* PIN entry: keys behind a secret prefix, which nobody hears and no recording holds (docs/media-core.md, PIN entry). */
#include <string.h>

#include "press.h"

#define HASH 11
#define WAIT_NS (10000 * NS_PER_MS)
#define COUNT_SHIFT 48

void pin_begin(struct pin_entry *pin, int prefix, int64_t now)
{
    explicit_bzero(pin, sizeof *pin);
    pin->is_on = 1;
    pin->prefix = (uint8_t)prefix;
    pin->until_ns = now + WAIT_NS;
}

/* Takes a key that is over. audio/dtmf.py has the same in Python. */
enum pin_step pin_take(struct pin_entry *pin, int code, unsigned control, unsigned prefixes, int64_t now)
{
    int has_star = pin->has_star;
    pin->has_star = 0;
    pin->until_ns = now + WAIT_NS;
    if (has_star && control >> code & 1)
        return PIN_CONTROL; /* whoever must pause now need not wait for an entry to end */
    if (has_star && prefixes >> code & 1)
        return PIN_PREFIX;
    if (code == HASH && !has_star)
        return pin->is_spoiled ? PIN_INCOMPLETE : PIN_COMPLETE;
    if (code == STAR)
        pin->has_star = pin->is_spoiled = 1;
    else if (pin->count == PIN_KEYS)
        pin->is_spoiled = 1;
    else
        pin->keys[pin->count++] = (uint8_t)code;
    return PIN_GOES_ON;
}

/* The keys, 4 bits each, and their number. */
int64_t pin_packed(const struct pin_entry *pin)
{
    int64_t keys = (int64_t)pin->count << COUNT_SHIFT;
    for (int i = 0; i < pin->count; i++)
        keys |= (int64_t)pin->keys[i] << 4 * i;
    return keys;
}

/* When the entry is broken off because no key has come for long; one that is down still belongs to it. */
int64_t pin_until(const struct pin_entry *pin, int is_pressed)
{
    return !pin->is_on ? NEVER : pin->until_ns + (is_pressed ? WAIT_NS : 0);
}
