/*
 * What the kernel does with the packets of a settled stream as they come in: it sends each on as the media core would,
 * and leaves a copy for it. Whatever is not exactly such a packet, or finds no room for its copy, goes up to its socket:
 * nothing is relayed that the core is not told of.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <stddef.h>

#include "flow.h"

#define MAY_NOT_BE_FRAGMENT 0x3FFF /* more fragments, or an offset */
#define VERSION_2 0x80             /* of RTP, without padding, extension or contributing sources */

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

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, FLOW_MAX);
    __type(key, struct flow_key);
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
    __uint(max_entries, 1);
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

static int is_plain_rtp(const struct datagram *at, __u32 length)
{
    return !(at->ip.frag_off & bpf_htons(MAY_NOT_BE_FRAGMENT)) &&
           at->rtp.first == VERSION_2 && length > sizeof at->rtp && length <= COPY_BYTES &&
           bpf_ntohs(at->ip.tot_len) == sizeof at->ip + sizeof at->udp + length;
}

static int is_from_peer(const struct datagram *at, const struct flow *flow)
{
    return at->ip.saddr == flow->peer_ip && at->udp.source == flow->peer_port;
}

static int is_of_flow(const struct datagram *at, const struct flow *flow)
{
    return at->rtp.ssrc == flow->ssrc && (at->rtp.second & 0x7F) == flow->payload_type;
}

/* Leaves a copy of the packet in the ring of the flow's thread; 0 when it has no room. */
static int leave_copy(struct __sk_buff *skb, const struct flow *flow, __u32 length)
{
    __u32 thread = flow->thread;
    struct copy_ends *end = bpf_map_lookup_elem(&ends, &thread);
    if (!end || *(volatile __u64 *)&end->claimed - *(volatile __u64 *)&end->taken >= COPY_SLOTS - COPY_SPARE)
        return 0;
    __u64 number = __sync_fetch_and_add(&end->claimed, 1);
    __u32 slot = thread * COPY_SLOTS + (__u32)(number & (COPY_SLOTS - 1));
    struct copy *copy = bpf_map_lookup_elem(&copies, &slot);
    if (!copy)
        return 0;
    copy->leg = flow->leg;
    copy->arrival_ns = bpf_ktime_get_ns();
    asm volatile("" : "+r"(length)); /* the verifier has forgotten its range by now */
    int is_whole = length >= 1 && length <= COPY_BYTES && !bpf_skb_load_bytes(skb, RTP_AT, copy->rtp, length);
    copy->length = is_whole ? length : 0;
    __sync_lock_test_and_set(&copy->turn, number + 1);
    return is_whole;
}

static __u16 folded(__s64 sum)
{
    __u64 folding = (__u64)sum & 0xFFFFFFFF;
    folding = (folding & 0xFFFF) + (folding >> 16);
    folding = (folding & 0xFFFF) + (folding >> 16);
    return (__u16)~folding;
}

static void rewrite_ip(struct datagram *at, const struct flow *flow)
{
    at->ip.saddr = flow->from_ip;
    at->ip.daddr = flow->to_ip;
    at->ip.tos = flow->tos;
    at->ip.ttl = flow->ttl;
    at->ip.check = 0;
    at->ip.check = folded(bpf_csum_diff(0, 0, (__be32 *)at, sizeof at->ip, 0));
}

SEC("tcx/ingress")
int relay(struct __sk_buff *skb)
{
    struct datagram *at = datagram_of(skb);
    if (!at || at->ip.version != 4 || at->ip.ihl != 5 || at->ip.protocol != IPPROTO_UDP)
        return TCX_NEXT;
    __u32 length = bpf_ntohs(at->udp.len) - sizeof at->udp;
    struct flow_key key = {.ip = at->ip.daddr, .port = at->udp.dest};
    const struct flow *flow = bpf_map_lookup_elem(&flows, &key);
    if (!flow || !is_from_peer(at, flow))
        return TCX_NEXT;
    if (!is_plain_rtp(at, length) || skb->len < RTP_AT + length || !is_of_flow(at, flow)) {
        bpf_map_delete_elem(&flows, &key); /* nothing overtakes it: all goes up until the core has settled anew */
        return TCX_NEXT;
    }

    __be32 addresses[2] = {at->ip.saddr, at->ip.daddr}, new_addresses[2] = {flow->from_ip, flow->to_ip};
    struct rewritten was = {at->udp.source, at->udp.dest, at->rtp.first, at->rtp.second, at->rtp.seq, at->rtp.ts, at->rtp.ssrc};
    struct rewritten is = {flow->from_port, flow->to_port, VERSION_2,
                           (was.second & 0x80) | flow->out_payload_type,
                           bpf_htons(bpf_ntohs(was.seq) + flow->seq_offset),
                           bpf_htonl(bpf_ntohl(was.ts) + flow->ts_offset), flow->out_ssrc};
    int has_checksum = at->udp.check != 0;
    if (!leave_copy(skb, flow, length)) {
        bpf_map_delete_elem(&flows, &key);
        return TCX_NEXT;
    }
    if (has_checksum) { /* what a card has yet to fill in is seeded with the addresses only, which the flag says */
        __u64 sum = bpf_csum_diff(addresses, sizeof addresses, new_addresses, sizeof new_addresses, 0);
        bpf_l4_csum_replace(skb, CHECKSUM_AT, 0, sum, BPF_F_PSEUDO_HDR | BPF_F_MARK_MANGLED_0);
        sum = bpf_csum_diff((__be32 *)&was, sizeof was, (__be32 *)&is, sizeof is, 0);
        bpf_l4_csum_replace(skb, CHECKSUM_AT, 0, sum, BPF_F_MARK_MANGLED_0);
    }
    at = datagram_of(skb);
    if (!at)
        return TCX_DROP; /* cannot be: it was there before */
    rewrite_ip(at, flow);
    at->udp.source = is.from_port;
    at->udp.dest = is.to_port;
    at->rtp.second = is.second;
    at->rtp.seq = is.seq;
    at->rtp.ts = is.ts;
    at->rtp.ssrc = is.ssrc;
    return flow->interface ? bpf_redirect_neigh(flow->interface, 0, 0, 0) : TCX_NEXT;
}

char _license[] SEC("license") = "Apache-2.0"; /* no helper above asks for the GPL */
