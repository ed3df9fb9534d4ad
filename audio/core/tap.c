/* Taps: their life, and what is asked of them: the gate, and what they hold in memory (docs/media-core.md). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "leg.h"
#include "tap.h"
#include "thread.h"

#define RUN_HEADER 24
#define MAX_RING_TICKS (1LL << 22)

enum record_kind { RECORD_AUDIO = 1, RECORD_ANCHOR = 2, RECORD_LOST = 3 };

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

static int64_t open_on(struct thread *thread, struct leg *legs[2], int64_t look_back, int64_t most_ticks, void **prepared)
{
    struct tap *tap = free_slot(thread);
    if (!tap)
        return -ENOMEM;
    tap->look_back = look_back;
    tap->most_ticks = most_ticks;
    tap->stretches = gate_stretches(look_back);
    void *memory = *prepared;
    *prepared = NULL;
    if (!tap_memory_open(tap, memory))
        return -ENOMEM;
    tap->gate_opened_here = tap->gate_closed_here = INT64_MIN;
    tap->masked_from = tap->masked_to = INT64_MIN / 2;
    tap->id = new_id(thread, tap->slot);
    for (int side = 0; side < 2; side++)
        attach(tap, legs[side], side);
    thread->counters.taps++;
    return tap->id;
}

static int is_ring_size(int64_t look_back_ticks, int64_t ring_ticks)
{
    return ring_ticks >= 1024 && ring_ticks <= MAX_RING_TICKS && ring_ticks % 64 == 0 && look_back_ticks >= 0 &&
           look_back_ticks < ring_ticks;
}

int core_prepare(struct core *core, int64_t look_back_ticks, int64_t ring_ticks)
{
    if (!is_ring_size(look_back_ticks, ring_ticks))
        return -EINVAL;
    slab_prepare(&core->slabs, sizeof(struct leg), 0);
    slab_prepare(&core->slabs, sizeof(struct tap), 0);
    tap_memory_unused(tap_memory_prepare(core, look_back_ticks, ring_ticks), look_back_ticks, ring_ticks);
    return 0;
}

int64_t core_open_tap(struct core *core, int64_t left, int64_t right, int64_t look_back_ticks, int64_t ring_ticks,
                      int mask_left_digits, int is_closed, int64_t now_ns)
{
    if (!is_ring_size(look_back_ticks, ring_ticks) || (!left && !right))
        return -EINVAL;
    slab_prepare(&core->slabs, sizeof(struct tap), 0);
    void *prepared = tap_memory_prepare(core, look_back_ticks, ring_ticks);
    int error;
    struct leg *leg = leg_lock(core, left ? left : right, &error), *legs[2];
    if (!leg) {
        tap_memory_unused(prepared, look_back_ticks, ring_ticks);
        return error;
    }
    struct thread *thread = leg->thread;
    int64_t ids[2] = {left, right}, result = find_sides(thread, ids, NULL, legs);
    if (result == 0)
        result = open_on(thread, legs, look_back_ticks, ring_ticks, &prepared);
    if (result > 0) {
        struct tap *tap = legs[LEFT] ? legs[LEFT]->tap : legs[RIGHT]->tap;
        tap->opened_ns = now_ns == CORE_NOW ? core_now(core) : now_ns;
        tap->masks_digits[LEFT] = (uint8_t)mask_left_digits;
        tap->is_closed = (uint8_t)is_closed;
    }
    thread_unlock(thread);
    tap_memory_unused(prepared, look_back_ticks, ring_ticks);
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
        report(tap->thread->core, (struct event){.kind = EVENT_LOST, .id = tap->id, .a = side, .b = start, .c = channel->lost_end});
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

int core_tap_packets(struct core *core, int64_t id, struct tap_packets *out)
{
    int error;
    struct tap *tap = tap_lock(core, id, &error);
    if (!tap)
        return error;
    for (int side = 0; side < 2; side++) {
        out->received[side] = tap->channels[side].packets;
        out->lost[side] = tap->channels[side].packets_lost;
    }
    thread_unlock(tap->thread);
    return 0;
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
