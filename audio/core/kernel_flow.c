/*
 * Settled streams, which the kernel relays (docs/media-core.md, In the kernel; ADR 29). Sockets are the rule: a flow is
 * open to the kernel only while its packets would go on as they are, and is shut before anything about them changes.
 */
#include <sched.h>

#include "flows.h"
#include "leg.h"

_Static_assert(MAX_RELAYED == COPY_BYTES, "what is settled is what can be relayed");

static int is_v4(const struct address *address)
{
    return address->length && address->at.any.sa_family == AF_INET && address->at.v4.sin_addr.s_addr != INADDR_ANY;
}

/* What arrives at the leg goes on to its peer just as it is, as the newest did, and will until something is done about it. */
int kernel_is_settled(const struct leg *from, int64_t now)
{
    const struct leg *to = from->peer;
    return to && from->is_configured && from->media.receives && !from->is_muted && !from->srtp && !to->srtp &&
           !from->sources.latched.length && leg_can_hear(to) && leg_codec_of(from, from->heard_pt) == from->heard_codec &&
           from->heard_codec == to->media.first.codec && !to->prompt.audio &&
           !digits_are_busy(to) && to->out.is_through && !to->out.is_switching && to->out.source == FROM_BRIDGE &&
           from->in.has_stream && to->out.source_ssrc == from->in.ssrc && !to->out.has_hole && press_is_idle(from, now);
}

static int is_loopback(const struct address *address)
{
    return (ntohl(address->at.v4.sin_addr.s_addr) >> 24) == IN_LOOPBACKNET;
}

static __u32 route_back(const struct address *to, const struct address *from)
{
    return (__u32)route_interface(to->at.v4.sin_addr.s_addr, from->at.v4.sin_addr.s_addr);
}

/* The interfaces by which a leg's packets come and leave; 0: the kernel cannot take them there. */
static int find_way(const struct leg *from, __u32 *came_by, __u32 *leaves_by)
{
    const struct leg *to = from->peer;
    *leaves_by = 0;
    *came_by = from->thread->core->kernel->loopback;
    if (is_loopback(&from->rtp) && is_loopback(&to->rtp))
        return *came_by != 0;
    if (is_loopback(&from->rtp) || is_loopback(&to->rtp) || has_ipsec())
        return 0;
    *came_by = route_back(&from->rtp, &from->own);
    *leaves_by = route_back(&to->rtp, &to->own);
    return *came_by && *leaves_by;
}

static int option_of(int fd, int option, int otherwise)
{
    int value;
    socklen_t length = sizeof value;
    return getsockopt(fd, IPPROTO_IP, option, &value, &length) ? otherwise : value;
}

/* The program looks at what goes up to the leg's socket of its stream. */
static int is_watched(const struct leg *from, const struct flow *flow)
{
    return __atomic_load_n(&flow->state, __ATOMIC_RELAXED) != FLOW_UNUSED &&
           flow->peer_ip == from->rtp.at.v4.sin_addr.s_addr && flow->peer_port == from->rtp.at.v4.sin_port &&
           flow->ssrc == htonl(from->in.ssrc) && flow->payload_type == from->heard_pt;
}

/* Has it look at that from here on. */
static void watch(const struct leg *from, struct flow *flow, __u32 came_by)
{
    __atomic_store_n(&flow->state, FLOW_UNUSED, __ATOMIC_SEQ_CST);
    flow->peer_ip = from->rtp.at.v4.sin_addr.s_addr;
    flow->peer_port = from->rtp.at.v4.sin_port;
    flow->ssrc = htonl(from->in.ssrc);
    flow->payload_type = (__u8)from->heard_pt;
    flow->came_by = came_by;
    __atomic_store_n(&flow->state, FLOW_BEGUN, __ATOMIC_SEQ_CST);
}

/* Says as what the leg's packets go on. */
static void describe(const struct leg *from, struct flow *flow, __u32 leaves_by)
{
    const struct leg *to = from->peer;
    flow->leg = (__u64)from->id;
    flow->thread = (__u8)from->thread->index;
    flow->leaves_by = leaves_by;
    flow->from_ip = to->own.at.v4.sin_addr.s_addr;
    flow->from_port = to->own.at.v4.sin_port;
    flow->to_ip = to->rtp.at.v4.sin_addr.s_addr;
    flow->to_port = to->rtp.at.v4.sin_port;
    flow->out_ssrc = htonl(to->out.ssrc);
    flow->out_payload_type = (__u8)to->media.first.send_pt;
    flow->seq_offset = to->out.seq_offset;
    flow->ts_offset = to->out.ts_offset;
    flow->tos = (__u8)option_of(to->rtp_fd, IP_TOS, 0);
    flow->ttl = (__u8)option_of(to->rtp_fd, IP_TTL, 64);
    flow->most_packets = (__u32)from->thread->core->kernel->most_packets;
    flow->is_too_fast = 0;
}

/* Waits until no program relays by the flow: they run for a microsecond, unless their processor is taken away. */
static void wait_until_left(const struct flow *flow)
{
    while (__atomic_load_n(&flow->busy, __ATOMIC_SEQ_CST))
        sched_yield();
}

/* The leg's flow, made if need be; NULL: there can be none. */
static struct flow *flow_of(struct leg *leg)
{
    struct kernel *kernel = leg->thread->core->kernel;
    if (!leg->flow && is_v4(&leg->own))
        leg->flow = kernel_place(kernel, leg->own.at.v4.sin_addr.s_addr, leg->own.at.v4.sin_port);
    return leg->flow;
}

void kernel_settle(struct leg *leg, uint16_t seq, int64_t now)
{
    if (!leg->thread->core->kernel || leg->is_relayed || now < leg->settle_ns || !kernel_is_settled(leg, now) ||
        !is_v4(&leg->peer->own) || !is_v4(&leg->rtp) || !is_v4(&leg->peer->rtp))
        return;
    struct flow *flow = flow_of(leg);
    __u32 newest = FLOW_SEEN | FLOW_NEWEST | seq, came_by, leaves_by;
    int was_watched = flow && is_watched(leg, flow);
    if (was_watched && __atomic_load_n(&flow->state, __ATOMIC_RELAXED) != newest)
        return; /* what has gone up to the socket since comes first */
    if (!flow || !find_way(leg, &came_by, &leaves_by)) {
        leg->settle_ns = now + TRY_AGAIN_NS;
        return;
    }
    if (!was_watched || flow->came_by != came_by) {
        watch(leg, flow, came_by);
        return;
    }
    describe(leg, flow, leaves_by);
    if (!__atomic_compare_exchange_n(&flow->state, &newest, FLOW_OPEN, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
        return; /* another has gone up meanwhile */
    leg->is_relayed = 1;
    leg->has_relayed = 0;
    leg->thread->relayed++;
}

void kernel_withdraw(struct leg *leg)
{
    if (!leg->is_relayed)
        return;
    __u32 open = FLOW_OPEN; /* else the program has shut it */
    __atomic_compare_exchange_n(&leg->flow->state, &open, FLOW_SHUT, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    wait_until_left(leg->flow);
    leg->is_relayed = 0;
    leg->thread->relayed--;
}

void kernel_leave_alone(struct leg *leg, int64_t now)
{
    kernel_withdraw(leg);
    leg->settle_ns = now + TRY_AGAIN_NS;
}

/* Of all legs, which may come by another way from now on: each is asked for anew. */
void kernel_withdraw_all(struct thread *thread)
{
    for (int slot = 0; slot < thread->leg_slots; slot++) {
        struct leg *leg = thread->legs[slot];
        kernel_withdraw(leg);
        if (leg->flow)
            __atomic_store_n(&leg->flow->state, FLOW_UNUSED, __ATOMIC_SEQ_CST);
    }
}

void kernel_house(struct thread *thread)
{
    if (!thread->core->kernel)
        return;
    int have_routes = has_news(thread->routes_fd), have_policies = has_news(thread->policies_fd);
    if (have_routes || have_policies)
        kernel_withdraw_all(thread);
}
