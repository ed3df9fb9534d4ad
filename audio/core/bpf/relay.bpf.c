/*
 * What the kernel does with the packets of a settled stream as they come in: it sends each on as the media core would,
 * and leaves a copy for it. Whatever is not exactly such a packet, or finds no room for its copy, goes up to its socket,
 * and everything after it: nothing is relayed that the core is not told of, and nothing overtakes.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/pkt_cls.h> /* TC_ACT_UNSPEC is TCX_NEXT, which Debian 12's headers do not have; TC_ACT_SHOT is TCX_DROP */
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <stddef.h>

#include "flow.h"
#include "helpers.h"

#define MAY_NOT_BE_FRAGMENT 0x3FFF /* more fragments, or an offset */
#define VERSION_2 0x80             /* of RTP, without padding, extension or contributing sources */
#define IS_LEFT_ALONE 2
#define MISORDER 100 /* MAX_MISORDER of the core: a number further back is of a sender that has begun anew */
#define TRIES 4      /* to note a packet, each beside one more that another processor notes */
#define GOES_UP 1    /* to its socket, and is noted; TC_ACT_UNSPEC: it is another's, or what it is to be was rewritten */

struct rtp {
    __u8 first, second;
    __u16 seq;
    __u32 ts, ssrc;
};

/* What follows the Ethernet header. */
struct datagram {
    struct iphdr ip;
    struct udphdr udp;
    struct rtp rtp;
};

#define CHECKSUM_AT (ETH_HLEN + offsetof(struct datagram, udp.check))
#define RTP_AT (ETH_HLEN + offsetof(struct datagram, rtp))
#define HEADERS (ETH_HLEN + sizeof(struct datagram))

/* By own_address: the leg's place in flows. */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, FLOW_MAX);
    __type(key, struct own_address);
    __type(value, __u32);
} places SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(map_flags, BPF_F_MMAPABLE);
    __uint(max_entries, FLOW_MAX);
    __type(key, __u32);
    __type(value, struct flow);
} flows SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(map_flags, BPF_F_MMAPABLE);
    __uint(max_entries, COPY_SLOTS); /* for each thread; the loader multiplies */
    __type(key, __u32);
    __type(value, struct copy);
} copies SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(map_flags, BPF_F_MMAPABLE);
    __uint(max_entries, 1); /* the same */
    __type(key, __u32);
    __type(value, struct copy_ends);
} ends SEC(".maps");

/* What is rewritten and counts in the UDP checksum. */
struct rewritten {
    __u16 from_port, to_port;
    __u8 first, second;
    __u16 seq;
    __u32 ts, ssrc;
};

static struct datagram *datagram_of(struct __sk_buff *skb)
{
    struct ethhdr *eth = (void *)(long)skb->data;
    struct datagram *at = (void *)(eth + 1);
    int is_there = (void *)(at + 1) <= (void *)(long)skb->data_end;
    return is_there && eth->h_proto == bpf_htons(ETH_P_IP) ? at : 0;
}

static int is_plain_rtp(const struct __sk_buff *skb, const struct datagram *at, __u32 length)
{
    __u32 frame = RTP_AT + length; /* a short one is filled up to ETH_ZLEN */
    return !(at->ip.frag_off & bpf_htons(MAY_NOT_BE_FRAGMENT)) && at->rtp.first == VERSION_2 &&
           length > sizeof at->rtp && length <= COPY_BYTES &&
           bpf_ntohs(at->ip.tot_len) == sizeof at->ip + sizeof at->udp + length &&
           (skb->len == frame || (frame < ETH_ZLEN && skb->len == ETH_ZLEN));
}

static int is_from_peer(const struct __sk_buff *skb, const struct datagram *at, const struct flow *flow)
{
    return at->ip.saddr == flow->peer_ip && at->udp.source == flow->peer_port && skb->ifindex == flow->came_by;
}

static int is_of_stream(const struct datagram *at, const struct flow *flow)
{
    return at->rtp.ssrc == flow->ssrc && (at->rtp.second & 0x7F) == flow->payload_type;
}

/*
 * No sender of media is as fast as that; by its socket one gets no more than a packet for each wake-up. Not inline: short
 * of registers, the compiler would use half a place on the stack again, which is refused without CAP_PERFMON.
 */
static __attribute__((noinline)) int is_too_fast(struct flow *flow, __u64 now)
{
    if ((__s64)(now - flow->window_ns) > WINDOW_NS) {
        flow->window_ns = now;
        flow->window_packets = 0;
    }
    flow->is_too_fast = ++flow->window_packets > flow->most_packets;
    return flow->is_too_fast;
}

static __u16 folded(__s64 sum)
{
    __u64 folding = (__u64)sum & 0xFFFFFFFF;
    folding = (folding & 0xFFFF) + (folding >> 16);
    folding = (folding & 0xFFFF) + (folding >> 16);
    return (__u16)~folding;
}

/* In place of what the stack would verify; a checksum that the sending card never filled in has the pseudo header's sum. */
static int is_intact(struct __sk_buff *skb, const struct datagram *at, struct copy *copy, __u32 length)
{
    if (!at->udp.check || bpf_csum_level(skb, BPF_CSUM_LEVEL_QUERY) >= 0)
        return 1;
    struct {
        __u32 from, to;
        __u16 protocol, length;
    } pseudo = {at->ip.saddr, at->ip.daddr, bpf_htons(IPPROTO_UDP), at->udp.len};
    struct udphdr udp = at->udp;
    __s64 sum = bpf_csum_diff(0, 0, (__be32 *)&pseudo, sizeof pseudo, 0);
    __u16 seed = ~folded(sum);
    if (udp.check == seed)
        return 1;
    sum = bpf_csum_diff(0, 0, (__be32 *)&udp, sizeof udp, (__u32)sum);
    __u32 whole = (length + 3) & ~3u;
    asm volatile("" : "+r"(whole));
    if (whole > COPY_BYTES)
        return 0;
    return folded(bpf_csum_diff(0, 0, (__be32 *)copy->rtp, whole, (__u32)sum)) == 0;
}

/* Leaves a copy of the packet in the ring of the flow's thread; 0: it has no room, or nobody looks. */
static int leave_copy(struct __sk_buff *skb, const struct datagram *at, const struct flow *flow, __u32 length, __u64 now)
{
    __u32 thread = flow->thread;
    struct copy_ends *end = bpf_map_lookup_elem(&ends, &thread);
    if (!end || (__s64)(now - *(volatile __u64 *)&end->looked_ns) > ASLEEP_NS) /* it may have looked since now */
        return 0;
    if (*(volatile __u64 *)&end->claimed - *(volatile __u64 *)&end->taken >= COPY_SLOTS - COPY_SPARE)
        return 0;
    __u64 number = fetch_add_64(&end->claimed, 1);
    __u32 slot = thread * COPY_SLOTS + (__u32)(number & (COPY_SLOTS - 1));
    struct copy *copy = bpf_map_lookup_elem(&copies, &slot);
    if (!copy)
        return 0; /* cannot be */
    int result = 0;
    copy->leg = flow->leg;
    copy->arrival_ns = now;
    asm volatile("" : "+r"(length)); /* the verifier has forgotten its range by now */
    if (length >= 1 && length <= COPY_BYTES && !bpf_skb_load_bytes(skb, RTP_AT, copy->rtp, length))
        result = flow->leaves_by == 0 || is_intact(skb, at, copy, length) ? 1 : IS_LEFT_ALONE;
    copy->length = result == 1 ? length : 0;
    exchange_64(&copy->turn, number + 1);
    return result;
}

static void rewrite(struct datagram *at, const struct flow *flow, const struct rewritten *is)
{
    at->ip.saddr = flow->from_ip;
    at->ip.daddr = flow->to_ip;
    at->ip.tos = flow->tos;
    at->ip.ttl = flow->ttl;
    at->ip.check = 0;
    at->ip.check = folded(bpf_csum_diff(0, 0, (__be32 *)at, sizeof at->ip, 0));
    at->udp.source = is->from_port;
    at->udp.dest = is->to_port;
    at->rtp.second = is->second;
    at->rtp.seq = is->seq;
    at->rtp.ts = is->ts;
    at->rtp.ssrc = is->ssrc;
}

/* Adds, and returns what was there. Nothing goes before or after it: without the result it would be no barrier (arm64). */
static __u32 count(__u32 *counter, __s32 more)
{
    __u32 was = fetch_add_32(counter, (__u32)more);
    asm volatile("" : "+r"(was));
    return was;
}

/* What a flow's state becomes as a packet of the stream with this number goes up to its socket. */
static __u32 state_after(__u32 state, __u32 seq)
{
    if (state == FLOW_BEGUN)
        return FLOW_SEEN | seq; /* another with that number may be on its way up unseen */
    __s16 step = (__s16)(seq - state);
    if (state < FLOW_SEEN || step > 0)
        return FLOW_SEEN | FLOW_NEWEST | seq;
    return step > -MISORDER ? state & ~FLOW_NEWEST : FLOW_SEEN | seq;
}

/*
 * Notes a packet that goes up to its socket. Until the core has read it nothing may be relayed, so it opens the flow by
 * exchanging the state that names the packet it has read, and not if another has gone up since.
 */
static __attribute__((noinline)) void note_passed(struct __sk_buff *skb, struct flow *flow)
{
    const struct datagram *at = datagram_of(skb);
    if (!at)
        return; /* cannot be: it was there before */
    __u32 length = bpf_ntohs(at->udp.len) - sizeof at->udp, seq = bpf_ntohs(at->rtp.seq);
    for (int i = 0; i < TRIES; i++) {
        __u32 state = count(&flow->state, 0), next = state < FLOW_SEEN ? state : state & ~FLOW_NEWEST;
        if (state == FLOW_UNUSED || flow->own.ip != at->ip.daddr || flow->own.port != at->udp.dest ||
            !is_from_peer(skb, at, flow))
            return;
        if (is_plain_rtp(skb, at, length) && is_of_stream(at, flow))
            next = state_after(state, seq);
        else if (state == FLOW_OPEN)
            next = FLOW_SHUT;
        if (compare_exchange_32(&flow->state, state, next) == state)
            return;
    }
}

/* The packet of an open flow, by somebody who is counted in. */
static int relay_packet(struct __sk_buff *skb, struct datagram *at, struct flow *flow)
{
    __u32 length = bpf_ntohs(at->udp.len) - sizeof at->udp;
    __u64 now = bpf_ktime_get_ns();
    if (!is_from_peer(skb, at, flow))
        return TC_ACT_UNSPEC;
    if (!is_plain_rtp(skb, at, length) || !is_of_stream(at, flow) || is_too_fast(flow, now))
        return GOES_UP;
    __be32 addresses[2] = {at->ip.saddr, at->ip.daddr}, new_addresses[2] = {flow->from_ip, flow->to_ip};
    struct rewritten was = {at->udp.source, at->udp.dest, at->rtp.first, at->rtp.second, at->rtp.seq, at->rtp.ts, at->rtp.ssrc};
    struct rewritten is = {flow->from_port, flow->to_port, VERSION_2,
                           (was.second & 0x80) | flow->out_payload_type,
                           bpf_htons(bpf_ntohs(was.seq) + flow->seq_offset),
                           network_32(network_32(was.ts) + flow->ts_offset), flow->out_ssrc};
    int left = leave_copy(skb, at, flow, length, now);
    if (left != 1)
        return left == IS_LEFT_ALONE ? TC_ACT_UNSPEC /* damaged: its socket will not take it either */ : GOES_UP;
    /* None stays none; what a card has yet to fill in is seeded with the addresses only, which the other flag says. */
    __u64 sum = bpf_csum_diff(addresses, sizeof addresses, new_addresses, sizeof new_addresses, 0);
    bpf_l4_csum_replace(skb, CHECKSUM_AT, 0, sum, BPF_F_PSEUDO_HDR | BPF_F_MARK_MANGLED_0);
    sum = bpf_csum_diff((__be32 *)&was, sizeof was, (__be32 *)&is, sizeof is, 0);
    bpf_l4_csum_replace(skb, CHECKSUM_AT, 0, sum, BPF_F_MARK_MANGLED_0);
    at = datagram_of(skb);
    if (!at)
        return TC_ACT_SHOT; /* cannot be: it was there before */
    rewrite(at, flow, &is);
    return flow->leaves_by ? bpf_redirect_neigh(flow->leaves_by, 0, 0, 0) : TC_ACT_UNSPEC;
}

SEC("tc") /* the type of program; libbpf before 1.3 does not know "tcx/ingress" */
int relay(struct __sk_buff *skb)
{
    volatile struct __sk_buff *about = skb; /* the verifier takes reads of single fields only */
    if (about->protocol != bpf_htons(ETH_P_IP) || about->vlan_present || about->pkt_type != PACKET_HOST || about->len < HEADERS)
        return TC_ACT_UNSPEC;
    struct datagram *at = datagram_of(skb);
    if (!at) {
        bpf_skb_pull_data(skb, HEADERS); /* of a card that leaves little of a packet in one piece */
        at = datagram_of(skb);
    }
    if (!at || at->ip.version != 4 || at->ip.ihl != 5 || at->ip.protocol != IPPROTO_UDP)
        return TC_ACT_UNSPEC;
    struct own_address own = {.ip = at->ip.daddr, .port = at->udp.dest};
    const __u32 *place = bpf_map_lookup_elem(&places, &own);
    struct flow *flow = place ? bpf_map_lookup_elem(&flows, place) : 0;
    if (!flow)
        return TC_ACT_UNSPEC;
    int result = GOES_UP;
    if (*(volatile __u32 *)&flow->state == FLOW_OPEN) {
        count(&flow->busy, 1); /* from here on nobody changes what it says, while it is open and ours */
        if (count(&flow->state, 0) == FLOW_OPEN && flow->own.ip == own.ip && flow->own.port == own.port)
            result = relay_packet(skb, at, flow);
        count(&flow->busy, -1);
    }
    if (result != GOES_UP)
        return result;
    note_passed(skb, flow);
    return TC_ACT_UNSPEC;
}

char _license[] SEC("license") = "Apache-2.0"; /* no helper above asks for the GPL */
