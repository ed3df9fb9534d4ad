/*
 * The memory of a tap (docs/media-core.md, Ring): as much as a call needs that nothing disturbs, and more once audio comes
 * late or the writer does. A ring never grows beyond what its tap was promised.
 */
#include <string.h>
#include <sys/mman.h>

#include "state.h"

#define STEP 2048          /* two rings are as long as whole pages of memory */
#define FIRST_MARGIN 11200 /* beyond the look-back: the second between two drains, and 0.4 s for one that is late */
#define GROWTH 8192        /* a second more at a time, at least */

void *memory_locked(size_t size, int lock)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return NULL;
    madvise(memory, size, MADV_DONTDUMP);
    madvise(memory, size, MADV_DONTFORK);
    if (lock && mlock(memory, size) < 0) {
        munmap(memory, size);
        return NULL;
    }
    return memory;
}

void memory_free(void *memory, size_t size)
{
    explicit_bzero(memory, size);
    munmap(memory, size);
}

static int64_t whole_steps(int64_t ticks)
{
    return (ticks + STEP - 1) / STEP * STEP;
}

/* Lays the rings and arrivals of both channels out. What every call touches lies together: codes hardly any does. */
static void lay_out(struct tap *tap, int64_t ticks)
{
    size_t plane = ring_plane_bytes(ticks), arrivals = sizeof(struct arrivals) * (size_t)tap->stretches;
    uint8_t *codes = tap->memory.planes + 2 * (plane + arrivals);
    for (int side = 0; side < 2; side++) {
        struct channel *channel = &tap->channels[side];
        ring_place(&channel->ring, tap->memory.bytes + side * ticks, tap->memory.planes + (size_t)side * plane,
                   codes + (size_t)side * 2 * plane, ticks);
        channel->arrivals = (struct arrivals *)(tap->memory.planes + 2 * plane + (size_t)side * arrivals);
    }
}

static int allocate(struct tap *tap, int64_t ticks)
{
    struct tap_memory memory = {.bytes_size = 2 * (size_t)ticks};
    memory.planes_size = 2 * (3 * ring_plane_bytes(ticks) + sizeof(struct arrivals) * (size_t)tap->stretches);
    memory.bytes = memory_locked(memory.bytes_size, tap->thread->core->lock_memory);
    void *planes = mmap(NULL, memory.planes_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (!memory.bytes || planes == MAP_FAILED) {
        if (memory.bytes)
            memory_free(memory.bytes, memory.bytes_size);
        if (planes != MAP_FAILED)
            munmap(planes, memory.planes_size);
        return 0;
    }
    memory.planes = planes;
    tap->memory = memory;
    tap->thread->counters.ring_bytes += (int64_t)memory.bytes_size;
    lay_out(tap, ticks);
    return 1;
}

static void give_back(struct thread *thread, struct tap_memory *memory)
{
    memory_free(memory->bytes, memory->bytes_size);
    munmap(memory->planes, memory->planes_size);
    thread->counters.ring_bytes -= (int64_t)memory->bytes_size;
}

int tap_memory_open(struct tap *tap)
{
    int64_t first = whole_steps(tap->look_back + FIRST_MARGIN);
    return allocate(tap, first < tap->most_ticks ? first : tap->most_ticks);
}

void tap_memory_close(struct tap *tap)
{
    give_back(tap->thread, &tap->memory);
}

void tap_memory_grow(struct tap *tap, int64_t need)
{
    struct tap_memory former = tap->memory;
    struct ring rings[2] = {tap->channels[LEFT].ring, tap->channels[RIGHT].ring};
    const struct arrivals *arrivals[2] = {tap->channels[LEFT].arrivals, tap->channels[RIGHT].arrivals};
    int64_t least = rings[LEFT].ticks + GROWTH, ticks = whole_steps(need > least ? need : least);
    if (rings[LEFT].ticks == tap->most_ticks || !allocate(tap, ticks < tap->most_ticks ? ticks : tap->most_ticks))
        return;
    for (int side = 0; side < 2; side++) {
        struct channel *channel = &tap->channels[side];
        ring_move(&channel->ring, &rings[side], channel->edge);
        memcpy(channel->arrivals, arrivals[side], sizeof(struct arrivals) * (size_t)tap->stretches);
    }
    give_back(tap->thread, &former);
}
