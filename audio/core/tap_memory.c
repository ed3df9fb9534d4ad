/*
 * The memory of a tap (docs/media-core.md, Ring): as much as a call needs that nothing disturbs, and more once audio comes
 * late or the writer does. A ring never grows beyond what its tap was promised.
 */
#include <string.h>

#include "tap.h"
#include "thread.h"

#define STEP 2048          /* two rings are as long as whole pages of memory */
#define FIRST_MARGIN 11200 /* beyond the look-back: the second between two drains, and 0.4 s for one that is late */
#define GROWTH 8192        /* a second more at a time, at least */

static int64_t whole_steps(int64_t ticks)
{
    return (ticks + STEP - 1) / STEP * STEP;
}

/* Lays the rings and arrivals of both channels out. What every call touches lies together: codes hardly any does. */
static void lay_out(struct tap *tap, int64_t ticks)
{
    size_t plane = ring_plane_bytes(ticks), arrivals = sizeof(struct arrivals) * (size_t)tap->stretches;
    for (int side = 0; side < 2; side++) {
        struct channel *channel = &tap->channels[side];
        ring_place(&channel->ring, tap->memory.bytes + side * ticks, tap->memory.planes + (size_t)side * plane,
                   tap->memory.codes + (size_t)side * 2 * plane, ticks);
        channel->arrivals = (struct arrivals *)(tap->memory.planes + 2 * plane + (size_t)side * arrivals);
    }
}

static int64_t first_ticks(int64_t look_back, int64_t most_ticks)
{
    int64_t first = whole_steps(look_back + FIRST_MARGIN);
    return first < most_ticks ? first : most_ticks;
}

static size_t rings_bytes(int64_t ticks)
{
    return 2 * (size_t)ticks;
}

static size_t planes_bytes(int64_t ticks, int64_t stretches)
{
    return 2 * (ring_plane_bytes(ticks) + sizeof(struct arrivals) * (size_t)stretches);
}

static size_t codes_bytes(int64_t ticks)
{
    return 4 * ring_plane_bytes(ticks);
}

static void give_back(struct core *core, struct tap_memory *memory)
{
    if (memory->bytes)
        slab_give(&core->slabs, memory->bytes, memory->bytes_size);
    if (memory->planes)
        slab_give(&core->slabs, memory->planes, memory->planes_size);
    if (memory->codes)
        memory_free(memory->codes, memory->codes_size);
}

/* Rings as they begin lie in huge pages; the few that grow, each to a length of its own, do not. */
static int allocate(struct tap *tap, int64_t ticks, int is_first, void *codes)
{
    struct core *core = tap->thread->core;
    struct tap_memory memory = {
        .bytes_size = rings_bytes(ticks),
        .planes_size = planes_bytes(ticks, tap->stretches),
        .codes_size = codes_bytes(ticks),
    };
    memory.bytes = is_first ? slab_take(&core->slabs, memory.bytes_size, core->lock_memory)
                            : memory_locked(memory.bytes_size, core->lock_memory);
    memory.planes = is_first ? slab_take(&core->slabs, memory.planes_size, 0) : memory_locked(memory.planes_size, 0);
    memory.codes = codes ? codes : memory_locked(memory.codes_size, 0);
    if (!memory.bytes || !memory.planes || !memory.codes) {
        give_back(core, &memory);
        return 0;
    }
    tap->memory = memory;
    tap->thread->counters.ring_bytes += (int64_t)memory.bytes_size;
    lay_out(tap, ticks);
    return 1;
}

/*
 * Has the memory ready with which a tap begins, and returns the part of it that is a mapping of its own; NULL if there is none.
 * The kernel may keep who maps memory waiting while another thread makes a slab.
 */
void *tap_memory_prepare(struct core *core, int64_t look_back, int64_t most_ticks)
{
    int64_t ticks = first_ticks(look_back, most_ticks);
    slab_prepare(&core->slabs, rings_bytes(ticks), core->lock_memory);
    slab_prepare(&core->slabs, planes_bytes(ticks, gate_stretches(look_back)), 0);
    return memory_locked(codes_bytes(ticks), 0);
}

void tap_memory_unused(void *prepared, int64_t look_back, int64_t most_ticks)
{
    if (prepared)
        memory_free(prepared, codes_bytes(first_ticks(look_back, most_ticks)));
}

int tap_memory_open(struct tap *tap, void *prepared)
{
    return allocate(tap, first_ticks(tap->look_back, tap->most_ticks), 1, prepared);
}

void tap_memory_close(struct tap *tap)
{
    tap->thread->counters.ring_bytes -= (int64_t)tap->memory.bytes_size;
    give_back(tap->thread->core, &tap->memory);
}

void tap_memory_grow(struct tap *tap, int64_t need)
{
    struct tap_memory former = tap->memory;
    struct ring rings[2] = {tap->channels[LEFT].ring, tap->channels[RIGHT].ring};
    const struct arrivals *arrivals[2] = {tap->channels[LEFT].arrivals, tap->channels[RIGHT].arrivals};
    int64_t least = rings[LEFT].ticks + GROWTH, ticks = whole_steps(need > least ? need : least);
    if (rings[LEFT].ticks == tap->most_ticks || !allocate(tap, ticks < tap->most_ticks ? ticks : tap->most_ticks, 0, NULL))
        return;
    for (int side = 0; side < 2; side++) {
        struct channel *channel = &tap->channels[side];
        ring_move(&channel->ring, &rings[side], channel->edge);
        memcpy(channel->arrivals, arrivals[side], sizeof(struct arrivals) * (size_t)tap->stretches);
    }
    tap->thread->counters.ring_bytes -= (int64_t)former.bytes_size;
    give_back(tap->thread->core, &former);
}
