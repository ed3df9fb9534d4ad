/*
 * Settled streams, which the kernel relays (docs/media-core.md, In the kernel; ADR 29). Sockets are the rule: a flow is
 * open to the kernel only while its packets would go on as they are, and is shut before anything about them changes.
 */
#include <errno.h>
#include <sched.h>
#include <string.h>

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

/* The interfaces by which the flow's packets come and leave; 0: the kernel cannot take them there. */
static int find_way(const struct kernel *kernel, const struct leg *from, struct flow *flow)
{
    const struct leg *to = from->peer;
    flow->leaves_by = 0;
    flow->came_by = kernel->loopback;
    if (is_loopback(&from->rtp) && is_loopback(&to->rtp))
        return flow->came_by != 0;
    if (is_loopback(&from->rtp) || is_loopback(&to->rtp) || has_ipsec())
        return 0;
    flow->came_by = (__u32)route_interface(flow->peer_ip, flow->own.ip);
    flow->leaves_by = (__u32)route_interface(flow->to_ip, flow->from_ip);
    return flow->came_by && flow->leaves_by;
}

static int option_of(int fd, int option, int otherwise)
{
    int value;
    socklen_t length = sizeof value;
    return getsockopt(fd, IPPROTO_IP, option, &value, &length) ? otherwise : value;
}

/* All but who is in it, and whether it is open. */
static void describe(const struct leg *from, struct flow *flow)
{
    const struct leg *to = from->peer;
    flow->leg = (__u64)from->id;
    flow->thread = (__u8)from->thread->index;
    flow->peer_ip = from->rtp.at.v4.sin_addr.s_addr;
    flow->peer_port = from->rtp.at.v4.sin_port;
    flow->ssrc = htonl(from->in.ssrc);
    flow->payload_type = (__u8)from->heard_pt;
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

/* Nothing waits in its socket that what the kernel relays would overtake. */
static int is_up_to_date(const struct leg *leg)
{
    uint8_t first;
    return recv(leg->rtp_fd, &first, sizeof first, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

/* Waits until no program is in the flow: they run for a microsecond, unless their processor is taken away. */
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

void kernel_settle(struct leg *leg, int64_t now)
{
    struct kernel *kernel = leg->thread->core->kernel;
    if (!kernel || leg->is_relayed || now < leg->settle_ns || !kernel_is_settled(leg, now) || !is_v4(&leg->peer->own) ||
        !is_v4(&leg->rtp) || !is_v4(&leg->peer->rtp) || !is_up_to_date(leg))
        return;
    struct flow *flow = flow_of(leg);
    if (flow) {
        wait_until_left(flow);
        describe(leg, flow);
    }
    if (!flow || !find_way(kernel, leg, flow)) {
        leg->settle_ns = now + TRY_AGAIN_NS;
        return;
    }
    leg->is_relayed = 1;
    leg->has_relayed = 0;
    leg->thread->relayed++;
    __atomic_store_n(&flow->is_open, 1, __ATOMIC_SEQ_CST);
    if (!is_up_to_date(leg))
        kernel_withdraw(leg); /* it came meanwhile */
}

void kernel_withdraw(struct leg *leg)
{
    if (!leg->is_relayed)
        return;
    __atomic_store_n(&leg->flow->is_open, 0, __ATOMIC_SEQ_CST);
    wait_until_left(leg->flow);
    leg->is_relayed = 0;
    leg->thread->relayed--;
}

void kernel_leave_alone(struct leg *leg, int64_t now)
{
    kernel_withdraw(leg);
    leg->settle_ns = now + TRY_AGAIN_NS;
}

void kernel_withdraw_all(struct thread *thread)
{
    for (int slot = 0; slot < thread->leg_slots; slot++)
        if (thread->legs[slot]->id)
            kernel_withdraw(thread->legs[slot]);
}

void kernel_house(struct thread *thread)
{
    if (!thread->core->kernel)
        return;
    int have_routes = has_news(thread->routes_fd), have_policies = has_news(thread->policies_fd);
    if (have_routes || have_policies)
        kernel_withdraw_all(thread);
}
