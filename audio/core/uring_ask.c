/* What the kernel is asked for by io_uring: receives that stand, their end, and news of epoll. */
#include <poll.h>
#include <stdlib.h>

#include "leg.h"
#include "media_uring.h"
#include "thread.h"

/* What a completion is of, as the kernel is given it and gives it back. */
uint64_t uring_number(enum uring_kind kind, int64_t id)
{
    return (uint64_t)kind << URING_KIND_BIT | (uint64_t)id;
}

int64_t uring_id(const struct io_uring_cqe *completion)
{
    return (int64_t)(completion->user_data & ((1ULL << URING_KIND_BIT) - 1));
}

enum uring_kind uring_kind_of(const struct io_uring_cqe *completion)
{
    return (enum uring_kind)(completion->user_data >> URING_KIND_BIT);
}

/* An entry, made room for if need be; NULL: the kernel takes nothing. */
static struct io_uring_sqe *next_entry(struct media_uring *ring)
{
    struct io_uring_sqe *entry = uring_entry(&ring->queue);
    if (!entry && uring_submit(&ring->queue) == 0)
        entry = uring_entry(&ring->queue);
    return entry;
}

/* Ends what has this number, or by flags more. */
void uring_cancel(struct media_uring *ring, uint64_t number, uint32_t flags)
{
    struct io_uring_sqe *entry = next_entry(ring);
    if (!entry) {
        ring->is_broken = 1;
        return;
    }
    entry->opcode = IORING_OP_ASYNC_CANCEL;
    entry->addr = number;
    entry->cancel_flags = flags;
}

static int make_room(struct media_uring *ring)
{
    if (ring->standing < ring->leaving_room)
        return 1;
    int room = 2 * ring->leaving_room + 64;
    int64_t *leaving = realloc(ring->leaving, sizeof *leaving * (size_t)room);
    if (!leaving)
        return 0;
    ring->leaving = leaving;
    ring->leaving_room = room;
    return 1;
}

/* Begins a leg's receive, and takes its socket from epoll; what cannot be begun stays there. */
void uring_receive(struct media_uring *ring, struct leg *leg)
{
    struct io_uring_sqe *entry = make_room(ring) ? next_entry(ring) : NULL;
    if (!entry) {
        leg_watch_rtp(leg);
        return;
    }
    leg_unwatch_rtp(leg);
    entry->opcode = IORING_OP_RECVMSG;
    entry->fd = leg->rtp_fd;
    entry->addr = (uint64_t)(uintptr_t)&ring->shape;
    entry->len = 1;
    entry->ioprio = IORING_RECV_MULTISHOT;
    entry->flags = IOSQE_BUFFER_SELECT;
    entry->user_data = uring_number(URING_RECEIVED, leg->id);
    leg->is_received = 1;
    ring->standing++;
}

/* Asks to be told once of what there is at the thread's epoll. */
void uring_poll(struct thread *thread)
{
    struct io_uring_sqe *entry = next_entry(thread->uring);
    if (!entry)
        return;
    entry->opcode = IORING_OP_POLL_ADD;
    entry->fd = thread->epoll;
    entry->poll32_events = POLLIN;
    entry->user_data = uring_number(URING_POLLED, 0);
    thread->uring->is_polling = 1;
}
