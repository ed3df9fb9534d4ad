/* Where a leg's peer is, and which packets are its own (docs/media-core.md). */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "state.h"

int address_equal(const struct address *a, const struct address *b)
{
    if (a->length != b->length || a->at.any.sa_family != b->at.any.sa_family)
        return 0;
    if (a->at.any.sa_family == AF_INET)
        return a->at.v4.sin_port == b->at.v4.sin_port && a->at.v4.sin_addr.s_addr == b->at.v4.sin_addr.s_addr;
    return a->at.v6.sin6_port == b->at.v6.sin6_port &&
           memcmp(&a->at.v6.sin6_addr, &b->at.v6.sin6_addr, sizeof a->at.v6.sin6_addr) == 0;
}

static int address_parse(struct address *out, const char *ip, int port)
{
    memset(out, 0, sizeof *out);
    if (!ip)
        return 0;
    if (port < 1 || port > 65535)
        return -EINVAL;
    if (inet_pton(AF_INET, ip, &out->at.v4.sin_addr) == 1) {
        out->at.v4.sin_family = AF_INET;
        out->at.v4.sin_port = htons((uint16_t)port);
        out->length = sizeof out->at.v4;
        return 0;
    }
    if (inet_pton(AF_INET6, ip, &out->at.v6.sin6_addr) == 1) {
        out->at.v6.sin6_family = AF_INET6;
        out->at.v6.sin6_port = htons((uint16_t)port);
        out->length = sizeof out->at.v6;
        return 0;
    }
    return -EINVAL;
}

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

int port_of(const struct address *address)
{
    return ntohs(address->at.any.sa_family == AF_INET6 ? address->at.v6.sin6_port : address->at.v4.sin_port);
}

int core_accept_from(struct core *core, int64_t id, const char *ip)
{
    struct address rtp, rtcp;
    int error;
    struct leg *leg = leg_lock(core, id, &error);
    if (!leg)
        return error;
    error = -EINVAL;
    if (leg->rtp.length && leg->rtcp.length && !address_parse(&rtp, ip, port_of(&leg->rtp)) &&
        !address_parse(&rtcp, ip, port_of(&leg->rtcp)) && rtp.at.any.sa_family == leg->rtp.at.any.sa_family) {
        leg->also_rtp = rtp;
        leg->also_rtcp = rtcp;
        error = 0;
    }
    thread_unlock(leg->thread);
    return error;
}

/* The bytes of an address and how many there are. */
static int bytes_of(const struct address *address, const uint8_t **bytes)
{
    int is_v6 = address->at.any.sa_family == AF_INET6;
    *bytes = is_v6 ? address->at.v6.sin6_addr.s6_addr : (const uint8_t *)&address->at.v4.sin_addr;
    return is_v6 ? 16 : 4;
}

static void forget_remote(struct leg *leg)
{
    if (leg->rtp.length)
        leg->out.is_switching = 1;
    leg->rtp.length = leg->rtcp.length = leg->also_rtp.length = leg->also_rtcp.length = 0;
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
        int length = bytes_of(&address, &bytes);
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

static int is_in(const struct network *network, const struct address *source)
{
    const uint8_t *bytes;
    bytes_of(source, &bytes);
    if (network->family != source->at.any.sa_family)
        return 0;
    int whole = network->bits / 8, rest = network->bits % 8;
    return !memcmp(network->first, bytes, (size_t)whole) &&
           (!rest || !((network->first[whole] ^ bytes[whole]) >> (8 - rest)));
}

/*
 * A source that is not the signalled address may be the peer's: the one that core_accept_from has named, or, of a leg that
 * only listens, one in its networks.
 */
int may_be_from_peer(const struct leg *leg, const struct address *source)
{
    if (leg->rtp.length)
        return leg->also_rtp.length && address_equal(source, &leg->also_rtp);
    for (int i = 0; i < leg->network_count; i++)
        if (is_in(&leg->networks[i], source))
            return 1;
    return !leg->network_count;
}

int is_rtcp_of_peer(const struct leg *leg, const struct address *source)
{
    return (leg->rtcp.length && address_equal(source, &leg->rtcp)) ||
           (leg->also_rtcp.length && address_equal(source, &leg->also_rtcp));
}
