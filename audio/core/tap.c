/* Taps: the two channels of a recording, their gate, and what they still hold in memory (docs/media-core.md). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "state.h"

#define RUN_HEADER 24
#define MAX_RING_TICKS (1LL << 22)

enum record_kind { RECORD_AUDIO = 1, RECORD_ANCHOR = 2, RECORD_LOST = 3 };

int64_t tap_here(const struct tap *tap, int64_t at_ns)
{
    int64_t scaled = (at_ns - tap->opened_ns) * 8;
    return scaled >= 0 ? scaled / NS_PER_MS : -((-scaled + NS_PER_MS - 1) / NS_PER_MS); /* towards minus infinity */
}

/* Fetches what the next packet of a channel will be written into, most likely. */
void tap_fetch(const struct tap *tap, int side, int64_t now)
{
    const struct channel *channel = &tap->channels[side];
    int64_t here = tap_here(tap, now);
    if (!channel->arrivals || here < 0)
        return;
    ring_fetch(&channel->ring, channel->next_pos);
    __builtin_prefetch(&channel->arrivals[here / STRETCH % tap->stretches], 1);
}

/* Writes [start, end), which no span closes: below the edge is late, beyond the ring is lost; 0: nothing was new. */
static int write_open(struct tap *tap, struct channel *channel, const struct packet *packet, int64_t position, int64_t start,
                      int64_t end)
{
    if (start < channel->edge) {
        int64_t late = (end < channel->edge ? end : channel->edge) - start;
        tap->thread->counters.late_ticks += late;
        start += late;
    }
    if (end > channel->edge + channel->ring.ticks)
        tap_memory_grow(tap, end - channel->edge);
    int64_t limit = channel->edge + channel->ring.ticks;
    if (end > limit) {
        int64_t lost = start > limit ? start : limit;
        if (channel->lost_start == channel->lost_end) {
            channel->lost_start = lost;
            channel->lost_end = end;
        }
        channel->lost_start = lost < channel->lost_start ? lost : channel->lost_start;
        channel->lost_end = end > channel->lost_end ? end : channel->lost_end;
        tap->thread->counters.lost_ticks += end - lost;
        end = limit;
    }
    return start < end && ring_put(&channel->ring, start, packet->payload + (start - position), end - start, packet->codec);
}

static int write_payload(struct tap *tap, struct channel *channel, const struct packet *packet, int64_t position)
{
    int is_fresh = 0;
    int64_t at = position > channel->blocked_until ? position : channel->blocked_until;
    int64_t end = position + packet->length;
    for (int i = 0; i < channel->spans.count && at < end; i++) {
        int64_t closed = channel->spans.list[i].start, opened = channel->spans.list[i].end;
        if (opened <= at)
            continue;
        if (closed >= end)
            break;
        if (at < closed)
            is_fresh |= write_open(tap, channel, packet, position, at, closed);
        at = opened;
    }
    if (at < end)
        is_fresh |= write_open(tap, channel, packet, position, at, end);
    return is_fresh;
}

/* Takes an audio packet of a tapped leg; 1 and its position, or 0 when the time line drops it. */
int tap_receive(struct leg *leg, const struct packet *packet, int64_t *position)
{
    struct tap *tap = leg->tap;
    struct channel *channel = &tap->channels[leg->channel];
    int64_t here = tap_here(tap, packet->arrival_ns);
    int was_running = channel->has_epoch;
    int64_t env = envelope(channel, here);
    struct placement placed;
    if (!timeline_place(channel, packet, here, &placed)) {
        tap->thread->counters.late_ticks += placed.is_passed ? packet->length : 0;
        return 0;
    }
    *position = placed.position;
    gate_placed(tap, channel, &placed, *position + packet->length, env, here);
    if (placed.is_new_epoch && was_running)
        report(tap->thread->core, EVENT_REANCHORED, tap->id, leg->channel, *position, 0);
    if (*position >= 0) { /* an anchor's position is unsigned; what precedes the opening holds no audio either */
        struct anchor anchor = {*position, packet->arrival_ns - tap->opened_ns, *position - here, packet->ts, packet->codec};
        anchor_note(channel, &anchor, here);
    }
    if (!tap->is_closed && write_payload(tap, channel, packet, *position))
        gate_arrived(tap, channel, here, *position, *position + packet->length);
    return 1;
}

/* Keys that no recording may hold: the caller's, and an entry behind a secret prefix. */
static int is_unkept(const struct leg *leg)
{
    return leg->tap && (leg->pin.is_on || (leg->channel == LEFT && leg->tap->mask_left_digits));
}

/* Silences an RFC 4733 event, 200 ms either side, on both channels. */
void tap_mask_event(struct leg *leg, const struct packet *packet, uint32_t duration)
{
    struct tap *tap = leg->tap;
    if (!is_unkept(leg))
        return;
    struct channel *channel = &tap->channels[leg->channel];
    int64_t here = tap_here(tap, packet->arrival_ns), position;
    int is_placed = timeline_expect(channel, packet->ssrc, packet->ts, here, &position);
    int64_t start = is_placed ? position - envelope(channel, here) : here;
    gate_mask_span(tap, start - DIGIT_MARGIN_TICKS, start + duration + DIGIT_MARGIN_TICKS, is_placed, here);
}

/* Silences positions [from, to) of the leg's channel, and the same moments on the other. */
void tap_mask_tone(struct leg *leg, int64_t from, int64_t to, int64_t arrival_ns)
{
    struct tap *tap = leg->tap;
    if (!is_unkept(leg))
        return;
    int64_t here = tap_here(tap, arrival_ns), env = envelope(&tap->channels[leg->channel], here);
    gate_mask_span(tap, from - env, to - env, 1, here);
}

void tap_forget(struct leg *leg, int64_t from_ns, int64_t now)
{
    struct tap *tap = leg->tap;
    if (tap)
        gate_forget(tap, &tap->channels[leg->channel], tap_here(tap, from_ns), tap_here(tap, now));
}

void tap_detach_leg(struct leg *leg)
{
    if (leg->tap)
        leg->tap->legs[leg->channel] = NULL;
    leg->tap = NULL;
    leg->has_tone_shift = 0;
}

static void attach(struct tap *tap, struct leg *leg, int side)
{
    tap->legs[side] = leg;
    if (leg) {
        leg->tap = tap;
        leg->channel = side;
        explicit_bzero(&leg->streams, sizeof leg->streams); /* what is recorded does not depend on what came before */
    }
}

void tap_free(struct tap *tap)
{
    for (int side = 0; side < 2; side++)
        if (tap->legs[side])
            tap_detach_leg(tap->legs[side]);
    tap_memory_close(tap);
    int slot = tap->slot;
    struct thread *thread = tap->thread;
    explicit_bzero(tap, sizeof *tap);
    tap->slot = slot;
    tap->thread = thread;
    thread->counters.taps--;
}

static struct tap *free_slot(struct thread *thread)
{
    for (int slot = 0; slot < thread->tap_slots; slot++)
        if (thread->taps[slot]->id == 0)
            return thread->taps[slot];
    struct tap **taps = realloc(thread->taps, sizeof *taps * (size_t)(thread->tap_slots + 1));
    if (!taps)
        return NULL;
    thread->taps = taps;
    struct tap *tap = slab_take(&thread->core->slabs, sizeof *tap, 0);
    if (!tap)
        return NULL;
    tap->slot = thread->tap_slots;
    tap->thread = thread;
    thread->taps[thread->tap_slots++] = tap;
    return tap;
}

/* Both sides of a tap, found and free; 0 for an id stands for nobody. */
static int find_sides(struct thread *thread, const int64_t ids[2], const struct tap *own, struct leg *legs[2])
{
    for (int side = 0; side < 2; side++) {
        legs[side] = ids[side] ? leg_find(thread, ids[side]) : NULL;
        if (ids[side] && !legs[side])
            return -ENOENT;
        if (legs[side] && legs[side]->tap && legs[side]->tap != own)
            return -EINVAL;
    }
    return legs[0] && legs[0] == legs[1] ? -EINVAL : 0;
}

static int64_t open_on(struct thread *thread, struct leg *legs[2], int64_t look_back, int64_t most_ticks)
{
    struct tap *tap = free_slot(thread);
    if (!tap)
        return -ENOMEM;
    tap->look_back = look_back;
    tap->most_ticks = most_ticks;
    tap->stretches = gate_stretches(look_back);
    if (!tap_memory_open(tap))
        return -ENOMEM;
    tap->gate_opened_here = tap->gate_closed_here = INT64_MIN;
    tap->masked_from = tap->masked_to = INT64_MIN / 2;
    tap->id = new_id(thread, tap->slot);
    for (int side = 0; side < 2; side++)
        attach(tap, legs[side], side);
    thread->counters.taps++;
    return tap->id;
}

int64_t core_open_tap(struct core *core, int64_t left, int64_t right, int64_t look_back_ticks, int64_t ring_ticks,
                      int mask_left_digits, int is_closed, int64_t now_ns)
{
    if (ring_ticks < 1024 || ring_ticks > MAX_RING_TICKS || ring_ticks % 64)
        return -EINVAL;
    if (look_back_ticks < 0 || look_back_ticks >= ring_ticks || (!left && !right))
        return -EINVAL;
    slab_prepare(&core->slabs, sizeof(struct tap), 0);
    tap_memory_prepare(core, look_back_ticks, ring_ticks);
    int error;
    struct leg *leg = leg_lock(core, left ? left : right, &error), *legs[2];
    if (!leg)
        return error;
    struct thread *thread = leg->thread;
    int64_t ids[2] = {left, right}, result = find_sides(thread, ids, NULL, legs);
    if (result == 0)
        result = open_on(thread, legs, look_back_ticks, ring_ticks);
    if (result > 0) {
        struct tap *tap = legs[LEFT] ? legs[LEFT]->tap : legs[RIGHT]->tap;
        tap->opened_ns = now_ns == CORE_NOW ? core_now(core) : now_ns;
        tap->mask_left_digits = (uint8_t)mask_left_digits;
        tap->is_closed = (uint8_t)is_closed;
    }
    thread_unlock(thread);
    return result;
}

int core_retarget_tap(struct core *core, int64_t id, int64_t left, int64_t right)
{
    int error;
    struct tap *tap = tap_lock(core, id, &error);
    if (!tap)
        return error;
    int64_t ids[2] = {left, right};
    struct leg *legs[2];
    error = find_sides(tap->thread, ids, tap, legs);
    if (error == 0) {
        for (int side = 0; side < 2; side++)
            if (tap->legs[side])
                tap_detach_leg(tap->legs[side]);
        for (int side = 0; side < 2; side++)
            attach(tap, legs[side], side);
    }
    thread_unlock(tap->thread);
    return error;
}

int64_t core_gate_close(struct core *core, int64_t id, int64_t erase_ticks, int64_t now_ns)
{
    if (erase_ticks < 0)
        return -EINVAL;
    int error;
    struct tap *tap = tap_lock(core, id, &error);
    if (!tap)
        return error;
    int64_t here = tap_here(tap, now_ns == CORE_NOW ? core_now(core) : now_ns);
    gate_shut(tap, here, erase_ticks);
    thread_unlock(tap->thread);
    return here > erase_ticks ? here - erase_ticks : 0;
}

int64_t core_gate_open(struct core *core, int64_t id, int64_t now_ns)
{
    int error;
    struct tap *tap = tap_lock(core, id, &error);
    if (!tap)
        return error;
    int64_t here = tap_here(tap, now_ns == CORE_NOW ? core_now(core) : now_ns);
    gate_release(tap, here);
    int64_t from = here + FRAME_TICKS + gather_ticks(tap);
    thread_unlock(tap->thread);
    return from > 0 ? from : 0;
}

int core_gate_mask(struct core *core, int64_t id, int64_t from_ticks, int64_t to_ticks, int64_t now_ns)
{
    if (from_ticks > to_ticks)
        return -EINVAL;
    int error;
    struct tap *tap = tap_lock(core, id, &error);
    if (!tap)
        return error;
    gate_mask_span(tap, from_ticks, to_ticks, 1, tap_here(tap, now_ns == CORE_NOW ? core_now(core) : now_ns));
    thread_unlock(tap->thread);
    return 0;
}

int core_tap_silenced(struct core *core, int64_t id, int64_t *out)
{
    int error;
    struct tap *tap = tap_lock(core, id, &error);
    if (!tap)
        return error;
    int count = tap->silenced.count;
    for (int i = 0; i < count; i++) {
        out[2 * i] = tap->silenced.list[i].start;
        out[2 * i + 1] = tap->silenced.list[i].end;
    }
    tap->silenced.count = 0;
    thread_unlock(tap->thread);
    return count;
}

int64_t core_tap_now(struct core *core, int64_t id, int64_t now_ns)
{
    int error;
    struct tap *tap = tap_lock(core, id, &error);
    if (!tap)
        return error;
    int64_t here = tap_here(tap, now_ns == CORE_NOW ? core_now(core) : now_ns);
    thread_unlock(tap->thread);
    return here > 0 ? here : 0;
}

static void put_header(uint8_t *out, int kind, int side, int codec, uint32_t length, int64_t start, int64_t aux)
{
    out[0] = (uint8_t)kind;
    out[1] = (uint8_t)side;
    out[2] = (uint8_t)codec;
    out[3] = 0;
    for (int i = 0; i < 4; i++)
        out[4 + i] = (uint8_t)(length >> 8 * i);
    for (int i = 0; i < 8; i++) {
        out[8 + i] = (uint8_t)((uint64_t)start >> 8 * i);
        out[16 + i] = (uint8_t)((uint64_t)aux >> 8 * i);
    }
}

/* Emits one channel up to edge; 0 when out is full, with everything emitted so far taken from the ring. */
static int drain_channel(struct tap *tap, int side, int64_t edge, uint8_t *out, size_t size, size_t *used)
{
    struct channel *channel = &tap->channels[side];
    if (channel->lost_start != channel->lost_end) {
        if (size - *used < RUN_HEADER)
            return 0;
        int64_t start = channel->lost_start, length = channel->lost_end - start;
        put_header(out + *used, RECORD_LOST, side, 0, (uint32_t)(length < UINT32_MAX ? length : UINT32_MAX), start, 0);
        *used += RUN_HEADER;
        report(tap->thread->core, EVENT_LOST, tap->id, side, start, channel->lost_end);
        channel->lost_start = channel->lost_end = 0;
    }
    while (channel->anchor_count > 0) {
        const struct anchor *anchor = &channel->anchors[0];
        if (size - *used < RUN_HEADER)
            return 0;
        put_header(out + *used, RECORD_ANCHOR, side, anchor->codec, anchor->ts, anchor->position, anchor->arrival_ns);
        *used += RUN_HEADER;
        memmove(&channel->anchors[0], &channel->anchors[1], sizeof *anchor * (size_t)--channel->anchor_count);
    }
    int64_t limit = channel->edge + channel->ring.ticks; /* nothing can lie beyond */
    int64_t end = edge < limit ? edge : limit;
    while (channel->edge < end) {
        int codec;
        int64_t length = ring_run(&channel->ring, channel->edge, end, &codec);
        if (codec >= 0) {
            if (size - *used <= RUN_HEADER)
                return 0;
            int64_t room = (int64_t)(size - *used - RUN_HEADER);
            length = length < room ? length : room;
            put_header(out + *used, RECORD_AUDIO, side, codec, (uint32_t)length, channel->edge, 0);
            ring_copy(&channel->ring, channel->edge, length, out + *used + RUN_HEADER);
            ring_zero(&channel->ring, channel->edge, channel->edge + length);
            *used += RUN_HEADER + (size_t)length;
        }
        channel->edge += length;
    }
    channel->edge = edge > channel->edge ? edge : channel->edge;
    spans_drop_below(&channel->spans, channel->edge);
    return 1;
}

int64_t core_drain_tap(struct core *core, int64_t id, uint8_t *out, size_t size, int is_final, int64_t now_ns, int *more)
{
    int error;
    struct tap *tap = tap_lock(core, id, &error);
    if (!tap)
        return error;
    int64_t here = tap_here(tap, now_ns == CORE_NOW ? core_now(core) : now_ns);
    size_t used = 0;
    int is_done = 1;
    for (int side = 0; side < 2 && is_done; side++) {
        struct channel *channel = &tap->channels[side];
        int64_t edge = is_final ? channel->next_pos : gate_edge(tap, channel, here);
        is_done = drain_channel(tap, side, edge > channel->edge ? edge : channel->edge, out, size, &used);
    }
    *more = !is_done;
    thread_unlock(tap->thread);
    return (int64_t)used;
}

int core_release_tap(struct core *core, int64_t id)
{
    int error;
    struct tap *tap = tap_lock(core, id, &error);
    if (!tap)
        return error;
    struct thread *thread = tap->thread;
    tap_free(tap);
    thread_unlock(thread);
    return 0;
}
