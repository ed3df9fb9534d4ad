/* What a turn of a media thread's loop is with io_uring: it waits, takes (uring_receive.c) and settles. */
#include <string.h>
#include <sys/epoll.h>
#include <time.h>

#include "leg.h"
#include "media_uring.h"
#include "thread.h"

#define LAST_WAITS 200 /* of 10 ms at most, for receives to end */

static int64_t sleep_for(int64_t ns)
{
    struct timespec pause = {.tv_nsec = (long)ns};
    nanosleep(&pause, NULL);
    return 0;
}

/* Waits until something came or is due; who is busy lets packets gather meanwhile, in the kernel. */
void media_uring_wait(struct thread *thread, int64_t until_ns, int is_busy)
{
    struct media_uring *ring = thread->uring;
    int64_t gather_ns = thread->core->gather_ns, left = until_ns - clock_ns();
    if (uring_ready(&ring->queue))
        return; /* who is behind does not wait */
    is_busy = is_busy && gather_ns;
    if (is_busy && left > gather_ns)
        left = gather_ns;
    if (is_busy && left > 0 && !(ring->queue.features & IORING_FEAT_MIN_TIMEOUT))
        left = sleep_for(left); /* without this, of Linux 6.12, each packet may wake who waits for many */
    if (uring_wait(&ring->queue, left <= 0 ? 0 : is_busy ? URING_BATCH : 1, left < 0 ? 0 : left) < 0)
        ring->is_broken = 1;
}

/* What there is at the thread's epoll, once the ring has told of it. */
int media_uring_events(struct thread *thread, struct epoll_event *events, int most)
{
    if (!thread->uring->has_events)
        return 0;
    thread->uring->has_events = 0;
    return epoll_wait(thread->epoll, events, most, 0);
}

static void reap(struct media_uring *ring)
{
    unsigned ready = uring_ready(&ring->queue);
    for (unsigned at = 0; at < ready; at++) {
        const struct io_uring_cqe *completion = uring_completion(&ring->queue, at);
        if (completion->flags & IORING_CQE_F_MORE)
            continue;
        ring->standing -= uring_kind_of(completion) == URING_RECEIVED;
        ring->is_polling = ring->is_polling && uring_kind_of(completion) != URING_POLLED;
    }
    uring_seen(&ring->queue, ready);
}

/* Gives the ring up, from its own thread and under its lock: no socket is its own any more. Epoll has all legs from here on. */
void media_uring_end(struct thread *thread)
{
    struct media_uring *ring = thread->uring;
    if (!ring->is_broken) {
        uring_cancel(ring, 0, IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_ALL);
        ring->is_broken = uring_submit(&ring->queue) < 0;
    }
    for (int i = 0; i < LAST_WAITS && !ring->is_broken && (ring->standing || ring->is_polling); i++) {
        ring->is_broken = uring_wait(&ring->queue, 1, 10 * NS_PER_MS) < 0;
        reap(ring);
    }
    thread->uring = NULL;
    for (int slot = 0; slot < thread->leg_slots; slot++)
        if (thread->legs[slot]->id && (thread->legs[slot]->is_received || thread->legs[slot]->is_arriving)) {
            thread->legs[slot]->is_received = thread->legs[slot]->is_arriving = 0;
            leg_watch_rtp(thread->legs[slot]);
        }
    media_uring_free(ring);
}

/*
 * Ends a turn, under the thread's lock: sends what waits, wipes the buffers that were used, and begins and ends what is to be
 * received. A ring that does not work any more is given up, and epoll has everything.
 */
void media_uring_settle(struct thread *thread)
{
    struct media_uring *ring = thread->uring;
    uring_hand_over(thread);
    uring_give_back(ring);
    if (ring->is_polling && !ring->arriving && !ring->leaving_count && !ring->is_broken)
        return;
    for (int i = 0; i < ring->leaving_count; i++)
        uring_cancel(ring, uring_number(URING_RECEIVED, ring->leaving[i]), 0);
    ring->leaving_count = 0;
    while (ring->arriving) {
        struct leg *leg = ring->arriving;
        ring->arriving = leg->next_arriving;
        leg->is_arriving = 0;
        uring_receive(ring, leg);
    }
    if (!ring->is_polling)
        uring_poll(thread);
    if (ring->is_broken || uring_submit(&ring->queue) < 0) {
        ring->is_broken = 1;
        media_uring_end(thread);
    }
}

/* Makes the ring this thread's, and its own all legs that are there; given up if the kernel does not allow that. */
void media_uring_begin(struct thread *thread)
{
    thread->uring = thread->prepared;
    thread->prepared = NULL;
    thread->uring->is_broken = uring_register(&thread->uring->queue, IORING_REGISTER_ENABLE_RINGS, NULL, 0) < 0;
    for (int slot = 0; slot < thread->leg_slots; slot++)
        if (thread->legs[slot]->id)
            leg_arrive(thread->legs[slot], clock_ns());
    media_uring_settle(thread);
}
