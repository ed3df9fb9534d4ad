/* Which sockets a media thread hears of. */
#include <errno.h>
#include <sys/epoll.h>

#include "leg.h"
#include "thread.h"

static int add(struct leg *leg, int fd, int is_rtcp)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = (void *)((uintptr_t)leg | (uintptr_t)is_rtcp)};
    return epoll_ctl(leg->thread->epoll, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

/* Has the leg's thread hear of what comes at both of its sockets; or a negated errno. */
int leg_watch(struct leg *leg)
{
    int error = add(leg, leg->rtp_fd, 0);
    if (!error && (error = add(leg, leg->rtcp_fd, 1)) != 0)
        epoll_ctl(leg->thread->epoll, EPOLL_CTL_DEL, leg->rtp_fd, NULL);
    return error;
}

/* Nothing that comes there is the leg's any more. */
void leg_unwatch(struct leg *leg)
{
    if (leg->thread->epoll < 0)
        return;
    epoll_ctl(leg->thread->epoll, EPOLL_CTL_DEL, leg->rtp_fd, NULL);
    epoll_ctl(leg->thread->epoll, EPOLL_CTL_DEL, leg->rtcp_fd, NULL);
}
