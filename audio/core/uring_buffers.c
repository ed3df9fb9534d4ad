/*
 * The buffers that packets come in by io_uring. They belong to all sockets of a thread and hold audio: locked, in no core
 * dump, no child and no swap, and wiped as each is given back.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "media_uring.h"
#include "memory.h"

#define ENTRIES 256
#define PER_BUFFER 4 /* completions: more than buffers, legs that end and sends that fail at a time; the kernel keeps what is beyond */
#define GROUP_ENTRIES 1024
#define EACH ((sizeof(struct uring_head) + MAX_PACKET + 1 + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE)
#define MOST ((int)(HUGE_PAGE / EACH))

_Static_assert(HUGE_PAGE / EACH <= GROUP_ENTRIES, "each buffer has a place in the group");

uint8_t *uring_buffer(const struct media_uring *ring, int number)
{
    return ring->memory + EACH * (size_t)number;
}

/* The packet lies in one of the buffers, and stays there until it has been handed over. */
int uring_holds(const struct media_uring *ring, const uint8_t *data)
{
    return data >= ring->memory && data < ring->memory + HUGE_PAGE;
}

static void put(struct media_uring *ring, int number, unsigned at)
{
    struct io_uring_buf *place = &ring->free->bufs[(uint16_t)(ring->free->tail + at) & (GROUP_ENTRIES - 1)];
    place->addr = (uint64_t)(uintptr_t)uring_buffer(ring, number);
    place->len = (uint32_t)(sizeof(struct uring_head) + MAX_PACKET + 1);
    place->bid = (uint16_t)number;
}

static void publish(struct media_uring *ring, int count)
{
    __atomic_store_n(&ring->free->tail, (uint16_t)(ring->free->tail + count), __ATOMIC_RELEASE);
}

/* A buffer has been filled: uring_give_back comes to it. */
void uring_use(struct media_uring *ring, int number, int bytes)
{
    ring->used[ring->used_count++] = (struct used_buffer){(uint16_t)number, (uint32_t)bytes};
}

/* Wipes what was used, and has it filled again. */
void uring_give_back(struct media_uring *ring)
{
    for (int i = 0; i < ring->used_count; i++) {
        explicit_bzero(uring_buffer(ring, ring->used[i].number), ring->used[i].bytes);
        put(ring, ring->used[i].number, (unsigned)i);
    }
    publish(ring, ring->used_count);
    ring->used_count = 0;
}

static int offer_buffers(struct media_uring *ring)
{
    struct io_uring_buf_reg group = {.ring_addr = (uint64_t)(uintptr_t)ring->free, .ring_entries = GROUP_ENTRIES};
    int error = uring_register(&ring->queue, IORING_REGISTER_PBUF_RING, &group, 1);
    for (int number = 0; number < ring->buffers; number++)
        put(ring, number, (unsigned)number);
    publish(ring, ring->buffers);
    return error;
}

/* A ring with so many buffers, 0: as many as there is room for; NULL and a negated errno if there can be none. */
struct media_uring *media_uring_new(int lock, int buffers, int most_packets, int *error)
{
    struct media_uring *ring = calloc(1, sizeof *ring);
    *error = -ENOMEM;
    if (!ring)
        return NULL;
    ring->buffers = buffers ? buffers : MOST;
    unsigned completions = PER_BUFFER * (unsigned)ring->buffers;
    ring->most_packets = most_packets;
    ring->round = 1;
    ring->shape.msg_namelen = sizeof(struct sockaddr_in6);
    ring->queue.fd = -1;
    ring->free = memory_locked(GROUP_ENTRIES * sizeof(struct io_uring_buf), 0);
    ring->memory = memory_huge(lock);
    if (buffers > MOST)
        *error = -EINVAL;
    else if (ring->free && ring->memory)
        *error = uring_open(&ring->queue, ENTRIES, completions > ENTRIES ? completions : ENTRIES);
    if (!*error)
        *error = offer_buffers(ring);
    if (!*error)
        return ring;
    media_uring_free(ring);
    return NULL;
}

/* Wipes all of it. What the kernel may still write to stays: nobody else may have it. */
void media_uring_free(struct media_uring *ring)
{
    uring_close(&ring->queue);
    if (ring->memory)
        explicit_bzero(ring->memory, HUGE_PAGE);
    if (ring->memory && !ring->standing)
        munmap(ring->memory, HUGE_PAGE);
    if (ring->free)
        memory_free(ring->free, GROUP_ENTRIES * sizeof(struct io_uring_buf));
    free(ring->leaving);
    explicit_bzero(ring, sizeof *ring);
    free(ring);
}
