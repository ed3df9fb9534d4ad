/*
 * What goes out by io_uring: packets that lie in its buffers are queued, and one system call hands over all of them, before the
 * thread's lock is given back. So nobody finds one on its way that was not there, and each is gone before its buffer is.
 */
#include <string.h>
#include <unistd.h>

#include "leg.h"
#include "media_uring.h"
#include "thread.h"

/* What the kernel may relay from here on has to be gone before it does, and it has to be known that it went. */
static int may_be_relayed(const struct leg *to)
{
    const struct leg *from = to->peer;
    return to->thread->core->kernel && from && !from->srtp && !to->srtp && from->heard_codec == to->media.first.codec;
}

/* What lies there may wait for others that go out; else it is sent at once, after what waits of the leg's. */
int uring_may_send(const struct leg *leg, const uint8_t *data)
{
    const struct media_uring *ring = leg->thread->uring;
    return ring && uring_holds(ring, data) && ring->queued < URING_BATCH && !ring->is_broken && !may_be_relayed(leg);
}

/* Queues a packet for the leg's peer. A send that does not wait is over when it has been handed over. */
void uring_send(struct leg *leg, const uint8_t *data, int length)
{
    struct media_uring *ring = leg->thread->uring;
    struct io_uring_sqe *entry = uring_entry(&ring->queue); /* there is room for a batch */
    entry->opcode = IORING_OP_SEND;
    entry->flags = IOSQE_CQE_SKIP_SUCCESS;
    entry->fd = leg->rtp_fd;
    entry->addr = (uint64_t)(uintptr_t)data;
    entry->len = (uint32_t)length;
    entry->msg_flags = MSG_DONTWAIT | MSG_NOSIGNAL;
    entry->addr2 = (uint64_t)(uintptr_t)&leg->rtp.at;
    entry->addr_len = (uint16_t)leg->rtp.length;
    entry->user_data = uring_number(URING_SENT, leg->id);
    ring->queued++;
    leg->out.queued_round = ring->round;
}

/* Nothing of the leg's waits any more. */
void uring_catch_up(const struct leg *leg)
{
    if (leg->thread->uring && leg->out.queued_round == leg->thread->uring->round)
        uring_hand_over(leg->thread);
}

/* Sends what waits, and asks for what is to be asked for. */
void uring_hand_over(struct thread *thread)
{
    struct media_uring *ring = thread->uring;
    if (uring_submit(&ring->queue) < 0) {
        thread->counters.send_errors += ring->queued;
        uring_forget(&ring->queue);
        ring->is_broken = 1;
    }
    ring->queued = 0;
    ring->round++;
}
