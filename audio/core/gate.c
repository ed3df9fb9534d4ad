/*
 * Which positions may be written (docs/media-core.md, Gate; tests/reference/gate.py is the same in Python). When in
 * doubt, closed.
 * Each channel has its own list; the open-ended span of a closed gate is apart, so that a mask inside it outlives it.
 */
#include <string.h>

#include "tap.h"
#include "thread.h"

#define PACKET_TICKS 160
#define GUARD 1600
#define DOUBT 5600
#define SPARE 8    /* stretches beyond the look-back */

static void spans_add(struct spans *spans, int64_t start, int64_t end)
{
    if (end <= start)
        return;
    int first = 0;
    while (first < spans->count && spans->list[first].end < start)
        first++;
    int last = first;
    while (last < spans->count && spans->list[last].start <= end) {
        start = start < spans->list[last].start ? start : spans->list[last].start;
        end = end > spans->list[last].end ? end : spans->list[last].end;
        last++;
    }
    if (last == first && spans->count == MAX_SPANS) { /* no room: the two oldest become one that covers both */
        if (first == 0) {
            spans->list[0].start = start;
            return;
        }
        spans->list[0].end = spans->list[1].end;
        memmove(&spans->list[1], &spans->list[2], sizeof spans->list[0] * (size_t)(spans->count - 2));
        spans->count--;
        if (first == 1) /* it lay between the two */
            return;
        first--;
        last--;
    }
    memmove(&spans->list[first + 1], &spans->list[last], sizeof spans->list[0] * (size_t)(spans->count - last));
    spans->count += 1 - (last - first);
    spans->list[first].start = start;
    spans->list[first].end = end;
}

void spans_drop_below(struct spans *spans, int64_t edge)
{
    int gone = 0;
    while (gone < spans->count && spans->list[gone].end <= edge)
        gone++;
    spans->count -= gone;
    memmove(&spans->list[0], &spans->list[gone], sizeof spans->list[0] * (size_t)spans->count);
}

static void erase(struct channel *channel, int64_t start, int64_t end)
{
    int64_t limit = channel->edge + channel->ring.ticks;
    ring_zero(&channel->ring, start > channel->edge ? start : channel->edge, end < limit ? end : limit);
}

int64_t gate_stretches(int64_t look_back)
{
    return look_back / STRETCH + 1 + SPARE;
}

static void note_lateness(const struct tap *tap, struct lateness *lateness, int64_t late, int64_t here)
{
    if (here - lateness->since >= tap->look_back)
        *lateness = (struct lateness){here, 0, lateness->now};
    lateness->now = late > lateness->now ? late : lateness->now;
}

/* Notes where a payload was written. */
void gate_arrived(const struct tap *tap, struct channel *channel, int64_t here, int64_t start, int64_t end)
{
    if (end <= channel->edge)
        return;
    here = here > 0 ? here : 0;
    int64_t stretch = here / STRETCH, base = stretch * STRETCH;
    int32_t first = (int32_t)(start - base), last = (int32_t)(end - base);
    struct arrivals *slot = &channel->arrivals[stretch % tap->stretches];
    slot->is_shared = slot->start != slot->end && slot->stretch == (uint32_t)stretch;
    if (!slot->is_shared)
        *slot = (struct arrivals){(uint32_t)stretch, 0, 0, first, last};
    slot->newest = (int16_t)(here - base);
    slot->start = first < slot->start ? first : slot->start;
    slot->end = last > slot->end ? last : slot->end;
    note_lateness(tap, &channel->lateness, here - start, here);
}

/* Positions of what arrived in one stretch. */
struct arrived {
    int64_t start, end, newest;
    int is_shared;
};

/* The next stretch, from *at on, with something that arrived in [from, here]; 0: no more. */
static int next_arrived(const struct tap *tap, const struct channel *channel, int64_t *at, int64_t from, int64_t here,
                        struct arrived *out)
{
    for (int64_t last = here / STRETCH; *at <= last; ++*at) {
        const struct arrivals *slot = &channel->arrivals[*at % tap->stretches];
        int64_t base = *at * STRETCH;
        if (slot->start == slot->end || slot->stretch != (uint32_t)*at || base + slot->newest < from)
            continue;
        *out = (struct arrived){base + slot->start, base + slot->end, base + slot->newest, slot->is_shared};
        ++*at;
        return 1;
    }
    return 0;
}

static int64_t first_stretch(const struct tap *tap, int64_t from, int64_t here)
{
    int64_t first = from > 0 ? from / STRETCH : 0, oldest = here / STRETCH - (tap->stretches - 1);
    return first > oldest ? first : oldest;
}

int64_t gate_edge(const struct tap *tap, const struct channel *channel, int64_t here)
{
    int64_t edge = here + envelope(channel, here) - tap->look_back, from = here - tap->look_back + 1;
    int64_t late = channel->lateness.now > channel->lateness.before ? channel->lateness.now : channel->lateness.before;
    int64_t last = edge + late < here ? edge + late : here; /* what came later lies no lower than the edge */
    int64_t at = first_stretch(tap, from, here);
    for (struct arrived arrived; next_arrived(tap, channel, &at, from, last, &arrived);)
        edge = arrived.start < edge ? arrived.start : edge;
    return edge;
}

/* Erases, wherever timestamps have put it, what arrived in [from, here] and was said before to arrived. */
static void erase_arrived(struct tap *tap, struct channel *channel, int64_t from, int64_t to, int64_t here)
{
    int64_t at = first_stretch(tap, from, here), shut = tap->is_closed ? channel->closed_from : INT64_MAX;
    for (struct arrived arrived; next_arrived(tap, channel, &at, from, here < to ? here : to, &arrived);) {
        int64_t end = arrived.end;
        if (!arrived.is_shared && to - arrived.newest < end - arrived.start)
            end = arrived.start + to - arrived.newest;
        spans_add(&channel->spans, arrived.start, end < shut ? end : shut);
        erase(channel, arrived.start, end);
    }
}

void gate_shut(struct tap *tap, int64_t here, int64_t back)
{
    int was_closed = tap->is_closed;
    tap->is_closed = 1;
    if (!was_closed)
        tap->gate_closed_here = here;
    for (int side = 0; side < 2; side++) {
        struct channel *channel = &tap->channels[side];
        int64_t start = here + envelope(channel, here) - back;
        if (back > (tap->stretches - 1) * STRETCH) /* what came when is known no more: all that is held goes */
            start = start < channel->edge ? start : channel->edge;
        start = start > 0 ? start : 0;
        if (!was_closed || start < channel->closed_from)
            channel->closed_from = start;
        erase(channel, channel->closed_from, INT64_MAX);
        erase_arrived(tap, channel, here - back, INT64_MAX, here);
    }
}

/*
 * Forgets everything that a channel got in [from, here], wherever it lies, as if it had not come. Its places are not
 * closed: who sent it is heard no more, and the next audio may begin before its end.
 */
void gate_forget(struct tap *tap, struct channel *channel, int64_t from, int64_t here)
{
    int64_t at = first_stretch(tap, from, here), from_ns = from * NS_PER_MS / TICKS_PER_MS;
    if (here - from > (tap->stretches - 1) * STRETCH) /* what came when is known no more: all that is held goes */
        erase(channel, channel->edge, INT64_MAX);
    for (struct arrived arrived; next_arrived(tap, channel, &at, from, here, &arrived);)
        erase(channel, arrived.start, arrived.end);
    while (channel->anchor_count > 0 && channel->anchors[channel->anchor_count - 1].arrival_ns >= from_ns)
        channel->anchor_count--;
    channel->has_candidate = 0;
    timeline_forget(channel, from, here);
}

/* Nothing is written on the channel until shortly after a moment: its envelope is not settled. */
static void block(struct channel *channel, int64_t moment, int64_t here)
{
    int64_t until = moment + envelope(channel, here) + GUARD;
    channel->blocked_until = until > channel->blocked_until ? until : channel->blocked_until;
}

/* What a packet carries from before its arrival. */
static int64_t carried(const struct channel *channel)
{
    return channel->longest > PACKET_TICKS ? channel->longest : PACKET_TICKS;
}

int64_t gather_ticks(const struct tap *tap)
{
    return (tap->thread->core->gather_ns * TICKS_PER_MS + NS_PER_MS - 1) / NS_PER_MS;
}

void gate_release(struct tap *tap, int64_t here)
{
    if (!tap->is_closed)
        return;
    /* Packets that gather arrive later than they came: the envelope may be low by as much. */
    int64_t waited = gather_ticks(tap);
    tap->is_closed = 0;
    tap->gate_opened_here = here;
    for (int side = 0; side < 2; side++) {
        struct channel *channel = &tap->channels[side];
        channel->opened_at = here + envelope(channel, here) + carried(channel) + waited;
        channel->has_opened = 1;
        spans_add(&channel->spans, channel->closed_from, channel->opened_at);
        int has_changed = channel->has_moved || (channel->has_restarted && channel->began_here >= tap->gate_closed_here);
        if (channel->has_epoch && (has_changed || channel->began_here > here - SETTLED))
            block(channel, here, here);
    }
}

/* A new epoch may be no step of its sender's clock, but audio of the closed time that comes late. */
static int is_doubtful(const struct tap *tap, const struct channel *channel, const struct placement *placed)
{
    if (!placed->is_known || !(tap->is_closed || channel->has_opened))
        return 0;
    if (placed->is_passed || channel->is_doubted)
        return 1;
    if (placed->late <= GUARD - carried(channel) - gather_ticks(tap))
        return 0; /* a step of its clock: if it is late after all, an opening blocks for longer */
    return placed->former < (tap->is_closed ? placed->position : channel->opened_at);
}

static void begin_doubt(struct channel *channel, int64_t lead, int64_t here)
{
    channel->is_doubted = 1;
    channel->doubted_until = here + DOUBT;
    channel->doubted_lead = lead;
    channel->doubted_best = INT64_MIN;
}

/*
 * Doubt lasts until the clock has gone as fast as the call's for DOUBT: what was held back comes faster, and what is
 * still being held back more slowly, or not at all.
 */
static void doubt(const struct tap *tap, struct channel *channel, const struct placement *placed, int64_t end, int64_t here)
{
    int64_t lead = placed->position - here;
    int is_over = channel->is_doubted && here >= channel->doubted_until;
    int has_sunk = is_over && channel->doubted_best < channel->doubted_lead - PACKET_TICKS;
    channel->is_doubted = channel->is_doubted && (!is_over || has_sunk);
    int has_gained = channel->is_doubted && lead > channel->doubted_lead + PACKET_TICKS;
    if (has_gained || has_sunk || is_doubtful(tap, channel, placed))
        begin_doubt(channel, lead, here);
    else if (lead > channel->doubted_best && here >= channel->doubted_until - DOUBT / 2)
        channel->doubted_best = lead;
    if (channel->is_doubted && end > channel->blocked_until)
        channel->blocked_until = end;
}

/* Audio whose clock says something else than the opening reckoned with may have been captured before it. */
void gate_placed(struct tap *tap, struct channel *channel, const struct placement *placed, int64_t end, int64_t env,
                 int64_t here)
{
    int64_t rise = placed->position - here - env;
    int has_jumped = placed->is_new_epoch || rise > PACKET_TICKS;
    if (!placed->is_new_epoch && rise > 0 && placed->position < channel->blocked_until)
        channel->blocked_until += rise; /* the block was placed by an envelope that was too low */
    doubt(tap, channel, placed, end, here);
    if (has_jumped && tap->gate_opened_here != INT64_MIN)
        block(channel, tap->gate_opened_here, here);
    if (has_jumped && here < tap->masked_to + GUARD)
        block(channel, tap->masked_to, here);
    int64_t first = tap->masked_from > here ? tap->masked_from - here : 0;
    if (here + first < tap->masked_to) /* wherever its timestamp has put it */
        spans_add(&channel->spans, placed->position + first,
                  end - placed->position < tap->masked_to - here ? end : placed->position + tap->masked_to - here);
}

/* The mask goes on: what comes in it is silenced as it comes. */
static void begin_mask(struct tap *tap, int64_t from, int64_t to, int64_t here)
{
    int is_masking = tap->masked_to > here;
    tap->masked_from = is_masking && tap->masked_from < from ? tap->masked_from : from;
    tap->masked_to = tap->masked_to > to ? tap->masked_to : to;
}

/* By how much what arrives at one time on both channels may have been said apart, beyond what it was at first. */
static int64_t ways_differ(const struct tap *tap)
{
    return tap->channels[LEFT].has_moved || tap->channels[RIGHT].has_moved ? GUARD : 0;
}

void gate_mask_span(struct tap *tap, int64_t from, int64_t to, int is_placed, int64_t here)
{
    if (to <= from)
        return;
    begin_mask(tap, from, to, here);
    int64_t more = is_placed ? ways_differ(tap) : GUARD, first = from - more, last = to + more;
    spans_add(&tap->silenced, first > 0 ? first : 0, last);
    for (int side = 0; side < 2; side++) {
        struct channel *channel = &tap->channels[side];
        int64_t env = envelope(channel, here);
        spans_add(&channel->spans, first + env, last + env);
        erase(channel, first + env, last + env);
        erase_arrived(tap, channel, first, last, here);
        int has_changed = channel->has_restarted && (channel->began_here >= first || channel->began_here > here - SETTLED);
        if (channel->has_epoch && has_changed)
            block(channel, to, here);
    }
}
