/*
 * What comes by io_uring. Each leg has one receive that stands for all of its packets and takes its memory from the ring's
 * buffers; RTCP, wake-ups and legs whose receive cannot stand stay with the thread's epoll, which the ring waits for too.
 */
#include <errno.h>
#include <string.h>

#include "leg.h"
#include "media_uring.h"
#include "thread.h"

#define SLOW_NS (5000 * NS_PER_MS)

/*
 * Nobody is relayed a flood, and one at a leg costs the others nothing: its socket is read by epoll for a while, which takes one
 * packet of the peer's for each wake-up and leaves to the kernel what has no room in the socket.
 */
static void slow_down(struct leg *leg, int64_t now)
{
    leg->polled_until_ns = now + SLOW_NS;
    uring_cancel(leg->thread->uring, uring_number(URING_RECEIVED, leg->id), 0);
}

static void deal_with(struct leg *leg, uint8_t *buffer, int bytes, int64_t now)
{
    struct uring_head *head = (struct uring_head *)buffer;
    struct address source;
    if (bytes < (int)sizeof *head || head->is.namelen > sizeof source.at)
        return;
    source.length = head->is.namelen;
    memcpy(&source.at, head->source, head->is.namelen);
    if (++leg->taken == leg->thread->uring->most_packets)
        slow_down(leg, now);
    int length = head->is.payloadlen > MAX_PACKET ? MAX_PACKET + 1 : (int)head->is.payloadlen; /* more was cut off */
    datagram_came(leg, 0, (uint8_t *)(head + 1), length, &source, now);
}

/* A receive has ended. Without a buffer, and after an empty datagram, it begins anew; else epoll has the socket for now. */
static void ended(struct leg *leg, int result, int64_t now)
{
    leg->is_received = 0;
    leg->thread->counters.starved += result == -ENOBUFS;
    if (result >= 0 || result == -ENOBUFS)
        leg_arrive(leg, now);
    if (!leg->is_arriving)
        leg_watch_rtp(leg);
}

/* Tells whether a packet came. Of a leg that is closed there may be some, which are nobody's. */
static int received(struct thread *thread, const struct io_uring_cqe *completion, int64_t now)
{
    struct media_uring *ring = thread->uring;
    struct leg *leg = leg_find(thread, uring_id(completion));
    int is_packet = (completion->flags & IORING_CQE_F_BUFFER) != 0;
    if (is_packet) {
        int number = (int)(completion->flags >> IORING_CQE_BUFFER_SHIFT);
        uring_use(ring, number, completion->res > 0 ? completion->res : 0);
        if (leg)
            deal_with(leg, uring_buffer(ring, number), completion->res, now);
    }
    if (!(completion->flags & IORING_CQE_F_MORE)) {
        ring->standing--;
        if (leg)
            ended(leg, completion->res, now);
    }
    return is_packet;
}

static void not_sent(struct thread *thread, int64_t id)
{
    struct leg *leg = leg_find(thread, id);
    thread->counters.send_errors++;
    thread->counters.sent--;
    if (leg)
        leg->out.packets--;
}

static const struct leg *leg_at(const struct thread *thread, unsigned at, unsigned ready)
{
    if (at >= ready)
        return NULL;
    const struct io_uring_cqe *completion = uring_completion(&thread->uring->queue, at);
    int slot = (int)(completion->user_data & 0xFFFF);
    return uring_kind_of(completion) == URING_RECEIVED && slot < thread->leg_slots ? thread->legs[slot] : NULL;
}

/* Takes what came, URING_BATCH packets at most, under the thread's lock; returns how many there were. */
int media_uring_take(struct thread *thread, int64_t now)
{
    struct media_uring *ring = thread->uring;
    unsigned ready = uring_ready(&ring->queue), at = 0;
    int packets = 0;
    for (; at < ready && packets < URING_BATCH; at++) {
        const struct io_uring_cqe *completion = uring_completion(&ring->queue, at);
        enum uring_kind kind = uring_kind_of(completion);
        fetch_ahead(leg_at(thread, at + 1, ready), leg_at(thread, at + 2, ready), leg_at(thread, at + 3, ready), now);
        if (kind == URING_RECEIVED)
            packets += received(thread, completion, now);
        else if (kind == URING_SENT)
            not_sent(thread, uring_id(completion));
        else if (kind == URING_POLLED) {
            ring->is_polling = 0;
            ring->has_events = 1;
        }
    }
    uring_seen(&ring->queue, at);
    return packets;
}

/* Whether a packet of a leg is off its socket already, and waits in the ring for the thread. */
int media_uring_has(const struct leg *leg)
{
    const struct media_uring *ring = leg->thread->uring;
    for (unsigned i = 0; ring && i < uring_ready(&ring->queue); i++) {
        const struct io_uring_cqe *completion = uring_completion(&ring->queue, i);
        if (uring_kind_of(completion) == URING_RECEIVED && uring_id(completion) == leg->id)
            return 1;
    }
    return 0;
}
