/* What is known of a leg: its counters, its silence, and whether something waits for its media thread. */
#include <sys/ioctl.h>

#include "leg.h"
#include "media_uring.h"
#include "thread.h"

int core_leg_statistics(struct core *core, int64_t id, struct leg_statistics *out)
{
    int error;
    struct leg *leg = leg_look(core, id, &error);
    if (!leg)
        return error;
    out->received = leg->in.received;
    out->sent = leg->out.packets;
    out->lost = packets_lost(&leg->in);
    out->dropped = leg->dropped;
    out->jitter_us = (int64_t)leg->in.jitter * 125 / 16;
    out->remote_lost = leg->remote_lost;
    out->digits = leg->digits;
    out->unauthentic = leg->unauthentic;
    out->replayed = leg->replayed;
    out->refused = leg->sources.refused;
    thread_unlock(leg->thread);
    return 0;
}

int64_t core_leg_silence(struct core *core, int64_t id)
{
    int error;
    struct leg *leg = leg_look(core, id, &error);
    if (!leg)
        return error;
    int64_t silent_ns = core_now(core) - leg->last_arrival_ns;
    int64_t result = !leg->is_configured || silent_ns < 0 ? 0 : silent_ns;
    thread_unlock(leg->thread);
    return result;
}

int core_leg_has_packets(struct core *core, int64_t id)
{
    int error, bytes = 0;
    struct leg *leg = leg_look(core, id, &error); /* which takes what the kernel has relayed */
    if (!leg)
        return error;
    int waits = (ioctl(leg->rtp_fd, FIONREAD, &bytes) == 0 && bytes > 0) || media_uring_has(leg);
    thread_unlock(leg->thread);
    return waits;
}
