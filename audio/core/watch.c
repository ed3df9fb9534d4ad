/* Which sockets a media thread hears of: all by epoll, and RTP by its io_uring, where it has one. */
#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "leg.h"
#include "media_uring.h"
#include "thread.h"

static int add(struct leg *leg, int fd, int is_rtcp)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = (void *)((uintptr_t)leg | (uintptr_t)is_rtcp)};
    return epoll_ctl(leg->thread->epoll, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

/* Has epoll tell of RTP; or a negated errno. */
int leg_watch_rtp(struct leg *leg)
{
    int error = leg->is_polled ? 0 : add(leg, leg->rtp_fd, 0);
    leg->is_polled = !error;
    return error;
}

void leg_unwatch_rtp(struct leg *leg)
{
    if (leg->is_polled)
        epoll_ctl(leg->thread->epoll, EPOLL_CTL_DEL, leg->rtp_fd, NULL);
    leg->is_polled = 0;
}

/* Has the leg's RTP received by io_uring, where its thread has one, from the end of its turn on. */
void leg_arrive(struct leg *leg, int64_t now)
{
    struct media_uring *ring = leg->thread->uring;
    if (!ring || leg->is_received || leg->is_arriving || now < leg->polled_until_ns)
        return;
    leg->is_arriving = 1;
    leg->next_arriving = ring->arriving;
    ring->arriving = leg;
}

/* Has the leg's thread hear of what comes at both of its sockets; or a negated errno. */
int leg_watch(struct leg *leg)
{
    int error = leg_watch_rtp(leg);
    if (!error && (error = add(leg, leg->rtcp_fd, 1)) != 0)
        leg_unwatch_rtp(leg);
    if (!error && leg->thread->uring) {
        leg_arrive(leg, core_now(leg->thread->core));
        eventfd_write(leg->thread->wake_fd, 1);
    }
    return error;
}

static void leave(struct media_uring *ring, struct leg *leg)
{
    for (struct leg **link = &ring->arriving; leg->is_arriving; link = &(*link)->next_arriving)
        if (*link == leg) {
            *link = leg->next_arriving;
            leg->is_arriving = 0;
            return;
        }
    if (!leg->is_received)
        return;
    ring->leaving[ring->leaving_count++] = leg->id;
    leg->is_received = 0;
    eventfd_write(leg->thread->wake_fd, 1);
}

/* Nothing that comes there is the leg's any more. */
void leg_unwatch(struct leg *leg)
{
    if (leg->thread->epoll < 0)
        return;
    leg_unwatch_rtp(leg);
    epoll_ctl(leg->thread->epoll, EPOLL_CTL_DEL, leg->rtcp_fd, NULL);
    if (leg->thread->uring)
        leave(leg->thread->uring, leg);
}
