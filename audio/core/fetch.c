/* What the next packets will touch, brought near while one is dealt with (ADR 23). */
#include <stddef.h>

#include "leg.h"
#include "tap.h"

static void fetch_lines(const void *from, size_t size)
{
    for (size_t at = 0; at < size; at += CACHE_LINE)
        __builtin_prefetch((const char *)from + at, 1);
}

/*
 * First the leg, then what the leg points to, then what that points to; NULL: nobody's packet comes then. Slots are never
 * freed, so a stale leg is as good as any.
 */
void fetch_ahead(const struct leg *next, const struct leg *second, const struct leg *third, int64_t now)
{
    if (third)
        fetch_lines(third, offsetof(struct leg, rtcp));
    if (second && second->peer)
        fetch_lines(second->peer, offsetof(struct leg, digits_out) + sizeof second->digits_out.count);
    if (second && second->tap) {
        fetch_lines(second->tap, offsetof(struct tap, memory));
        fetch_lines(&second->tap->channels[second->channel], offsetof(struct channel, spans) + CACHE_LINE);
    }
    if (next && next->tap)
        tap_fetch(next->tap, next->channel, now);
}
