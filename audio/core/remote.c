/* Where a leg's peer is, and which packets are its own (docs/media-core.md). */
#include <errno.h>
#include <string.h>

#include "leg.h"
#include "thread.h"

int core_set_remote(struct core *core, int64_t id, const char *rtp_ip, int rtp_port, const char *rtcp_ip, int rtcp_port)
{
    struct address rtp, rtcp;
    if (!rtp_ip || !rtcp_ip || address_parse(&rtp, rtp_ip, rtp_port) || address_parse(&rtcp, rtcp_ip, rtcp_port))
        return -EINVAL;
    int error;
    struct leg *leg = leg_lock(core, id, &error);
    if (!leg)
        return error;
    sa_family_t family = leg->own.at.any.sa_family;
    if (rtp.at.any.sa_family != family || rtcp.at.any.sa_family != family) {
        thread_unlock(leg->thread);
        return -EAFNOSUPPORT;
    }
    if (leg->sources.moved_from.length && address_equal(&rtp, &leg->sources.moved_from))
        rtp = leg->rtp; /* signalled as before: it goes on from where it is now */
    else
        leg->sources.moved_from.length = 0;
    if (!address_equal(&rtp, &leg->rtp)) {
        leg->out.is_switching = 1;
        sources_reset(leg, core_now(core));
    }
    leg->rtp = rtp;
    leg->rtcp = rtcp;
    leg->also_rtp.length = leg->also_rtcp.length = 0;
    leg->sources.expected.length = 0;
    if (!leg->rtcp_next_ns)
        leg->rtcp_next_ns = core_now(leg->thread->core) + 5000 * NS_PER_MS;
    thread_unlock(leg->thread);
    return 0;
}

int core_accept_from(struct core *core, int64_t id, const char *ip)
{
    struct address rtp, rtcp;
    int error;
    struct leg *leg = leg_lock(core, id, &error);
    if (!leg)
        return error;
    error = -EINVAL;
    const struct address *first = leg->sources.moved_from.length ? &leg->sources.moved_from : &leg->rtp;
    const struct address *latched = &leg->sources.latched;
    if (leg->rtp.length && leg->rtcp.length && !address_parse(&rtp, ip, port_of(first)) &&
        !address_parse(&rtcp, ip, port_of(&leg->rtcp)) && rtp.at.any.sa_family == leg->rtp.at.any.sa_family) {
        leg->also_rtp = is_same_host(&rtp, latched) ? *latched : rtp; /* it may have moved to another port */
        leg->also_rtcp = rtcp;
        error = 0;
    }
    thread_unlock(leg->thread);
    return error;
}

static void forget_remote(struct leg *leg)
{
    if (leg->rtp.length)
        leg->out.is_switching = 1;
    leg->rtp.length = leg->rtcp.length = leg->also_rtp.length = leg->also_rtcp.length = 0;
    leg->sources.moved_from.length = 0;
}

int core_listen(struct core *core, int64_t id, const char *ip, int port, const char *const *ips, const int *bits, int count)
{
    struct network networks[MAX_NETWORKS] = {0};
    struct address expected;
    if (count < 0 || count > MAX_NETWORKS || address_parse(&expected, ip, port))
        return -EINVAL;
    for (int i = 0; i < count; i++) {
        struct address address;
        const uint8_t *bytes;
        if (!ips[i] || address_parse(&address, ips[i], 1))
            return -EINVAL;
        int length = address_bytes(&address, &bytes);
        if (bits[i] < 0 || bits[i] > 8 * length)
            return -EINVAL;
        networks[i].family = address.at.any.sa_family;
        networks[i].bits = bits[i];
        memcpy(networks[i].first, bytes, (size_t)length);
    }
    int error;
    struct leg *leg = leg_lock(core, id, &error);
    if (!leg)
        return error;
    int was_known = leg->sources.expected.length != 0;
    if (leg->rtp.length || (ip ? !address_equal(&expected, &leg->sources.expected) : !was_known))
        sources_reset(leg, core_now(core));
    if (ip)
        leg->sources.expected = expected;
    forget_remote(leg);
    memcpy(leg->networks, networks, sizeof networks);
    leg->network_count = count;
    thread_unlock(leg->thread);
    return 0;
}
