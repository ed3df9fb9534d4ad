/*
 * io_uring(7) by its system calls, since a library for it would be one more to install, and Debian 12's has no rings of
 * buffers. One thread submits and waits; the kernel does work for a ring only while that thread waits (Linux 6.1).
 */
#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "packet.h"
#include "uring.h"

#define FLAGS                                                                                                            \
    (IORING_SETUP_R_DISABLED | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SUBMIT_ALL |       \
     IORING_SETUP_CQSIZE)
#define NEEDED (IORING_FEAT_SINGLE_MMAP | IORING_FEAT_NODROP | IORING_FEAT_EXT_ARG | IORING_FEAT_CQE_SKIP)
#define TRIES 100 /* with a kernel that has no memory for a moment */

static int enter(const struct uring *ring, unsigned submit, unsigned wait, unsigned flags, const void *argument, size_t size)
{
    int done = (int)syscall(__NR_io_uring_enter, ring->fd, submit, wait, flags, argument, size);
    return done < 0 ? -errno : done;
}

static void *map(const struct uring *ring, size_t size, off_t offset)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring->fd, offset);
    if (memory == MAP_FAILED)
        return NULL;
    madvise(memory, size, MADV_DONTFORK);
    return memory;
}

static int map_queues(struct uring *ring, const struct io_uring_params *params)
{
    size_t entries = params->sq_off.array + params->sq_entries * sizeof(unsigned);
    size_t completions = params->cq_off.cqes + params->cq_entries * sizeof(struct io_uring_cqe);
    ring->queues_size = entries > completions ? entries : completions;
    ring->entries_size = params->sq_entries * sizeof(struct io_uring_sqe);
    ring->queues = map(ring, ring->queues_size, IORING_OFF_SQ_RING);
    ring->entries = map(ring, ring->entries_size, IORING_OFF_SQES);
    if (!ring->queues || !ring->entries)
        return -ENOMEM;
    ring->size = params->sq_entries;
    ring->mask = params->sq_entries - 1;
    ring->completions_mask = params->cq_entries - 1;
    ring->head = (unsigned *)(ring->queues + params->sq_off.head);
    ring->tail = (unsigned *)(ring->queues + params->sq_off.tail);
    ring->completions_head = (unsigned *)(ring->queues + params->cq_off.head);
    ring->completions_tail = (unsigned *)(ring->queues + params->cq_off.tail);
    ring->completions = (struct io_uring_cqe *)(ring->queues + params->cq_off.cqes);
    unsigned *order = (unsigned *)(ring->queues + params->sq_off.array);
    for (unsigned i = 0; i < params->sq_entries; i++)
        order[i] = i;
    return 0;
}

/* Makes a ring that the thread which enables it submits to; or a negated errno. */
int uring_open(struct uring *ring, unsigned entries, unsigned completions)
{
    struct io_uring_params params = {.flags = FLAGS, .cq_entries = completions};
    memset(ring, 0, sizeof *ring);
    ring->fd = (int)syscall(__NR_io_uring_setup, entries, &params);
    if (ring->fd < 0)
        return errno == EINVAL ? -ENOSYS : -errno; /* an older kernel does not know what is asked for */
    ring->features = params.features;
    int error = (params.features & NEEDED) == NEEDED ? map_queues(ring, &params) : -ENOSYS;
    if (error)
        uring_close(ring);
    return error;
}

int uring_register(struct uring *ring, unsigned what, void *argument, unsigned count)
{
    return syscall(__NR_io_uring_register, ring->fd, what, argument, count) < 0 ? -errno : 0;
}

/* An empty entry to be filled in; NULL: there is room for no more before the next uring_submit. */
struct io_uring_sqe *uring_entry(struct uring *ring)
{
    if (ring->next - __atomic_load_n(ring->head, __ATOMIC_ACQUIRE) == ring->size)
        return NULL;
    struct io_uring_sqe *entry = &ring->entries[ring->next++ & ring->mask];
    memset(entry, 0, sizeof *entry);
    return entry;
}

/* Has the kernel take what was filled in; or a negated errno, and the rest is not taken. */
int uring_submit(struct uring *ring)
{
    __atomic_store_n(ring->tail, ring->next, __ATOMIC_RELEASE);
    for (int tries = 0;;) {
        unsigned left = ring->next - __atomic_load_n(ring->head, __ATOMIC_ACQUIRE);
        if (!left)
            return 0;
        int done = enter(ring, left, 0, 0, NULL, 0);
        int is_passing = done == 0 || done == -EINTR || done == -EAGAIN || done == -EBUSY;
        if (done < 0 && !is_passing)
            return done;
        if (is_passing && ++tries == TRIES)
            return -EAGAIN;
        if (is_passing)
            sched_yield();
    }
}

/* Takes back what the kernel did not take. */
void uring_forget(struct uring *ring)
{
    ring->next = __atomic_load_n(ring->head, __ATOMIC_ACQUIRE);
    __atomic_store_n(ring->tail, ring->next, __ATOMIC_RELEASE);
}

/* Waits for so many completions, that long at most, and has the kernel do what there is to do; 0, or a negated errno. */
int uring_wait(struct uring *ring, unsigned count, int64_t at_most_ns)
{
    struct __kernel_timespec at_most = {.tv_sec = at_most_ns / (1000 * NS_PER_MS), .tv_nsec = at_most_ns % (1000 * NS_PER_MS)};
    struct io_uring_getevents_arg argument = {.ts = (uint64_t)(uintptr_t)&at_most};
    int done = enter(ring, 0, count, IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG, &argument, sizeof argument);
    return done >= 0 || done == -ETIME || done == -EINTR || done == -EAGAIN || done == -EBUSY ? 0 : done;
}

unsigned uring_ready(const struct uring *ring)
{
    return __atomic_load_n(ring->completions_tail, __ATOMIC_ACQUIRE) - *ring->completions_head;
}

/* The completion that comes after so many of those that are ready. */
const struct io_uring_cqe *uring_completion(const struct uring *ring, unsigned number)
{
    return &ring->completions[(*ring->completions_head + number) & ring->completions_mask];
}

void uring_seen(struct uring *ring, unsigned count)
{
    __atomic_store_n(ring->completions_head, *ring->completions_head + count, __ATOMIC_RELEASE);
}

void uring_close(struct uring *ring)
{
    if (ring->entries)
        munmap(ring->entries, ring->entries_size);
    if (ring->queues)
        munmap(ring->queues, ring->queues_size);
    if (ring->fd >= 0)
        close(ring->fd);
    ring->entries = NULL;
    ring->queues = NULL;
    ring->fd = -1;
}
