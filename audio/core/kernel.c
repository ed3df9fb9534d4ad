/*
 * Settled streams, which the kernel relays (docs/media-core.md, In the kernel; ADR 29). Sockets are the rule: a flow is
 * told to the kernel only while its packets would go on as they are, and is withdrawn before anything about them changes.
 * What was relayed is taken from the ring of copies as if from its socket, but for being sent.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bpf/flow.h"
#include "state.h"

#define MAX_INTERFACES 16
#define UNSEEN_NS (5000 * NS_PER_MS) /* a stream that comes by no interface of ours is not settled with every packet */

struct kernel {
    struct bpf_object *object;
    struct bpf_link *links[MAX_INTERFACES]; /* gone with the process, and with them all that is relayed */
    int flows;
    struct copy *copies;
    struct copy_ends *ends;
    size_t copies_size, ends_size;
};

static void *map_shared(struct bpf_map *map, size_t size)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size = (size + page - 1) / page * page;
    void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(map), 0);
    if (at == MAP_FAILED)
        return NULL;
    madvise(at, size, MADV_DONTDUMP); /* what is secret passes through it */
    madvise(at, size, MADV_DONTFORK);
    return at;
}

static int load(struct kernel *kernel, const char *path, int threads)
{
    kernel->object = bpf_object__open_file(path, NULL);
    if (!kernel->object)
        return -errno;
    struct bpf_map *copies = bpf_object__find_map_by_name(kernel->object, "copies");
    struct bpf_map *ends = bpf_object__find_map_by_name(kernel->object, "ends");
    int error = bpf_map__set_max_entries(copies, (__u32)threads * COPY_SLOTS);
    if (!error)
        error = bpf_map__set_max_entries(ends, (__u32)threads);
    if (!error)
        error = bpf_object__load(kernel->object);
    if (error)
        return error;
    kernel->flows = bpf_object__find_map_fd_by_name(kernel->object, "flows");
    kernel->copies_size = sizeof *kernel->copies * COPY_SLOTS * (size_t)threads;
    kernel->ends_size = sizeof *kernel->ends * (size_t)threads;
    kernel->copies = map_shared(copies, kernel->copies_size);
    kernel->ends = map_shared(ends, kernel->ends_size);
    return kernel->copies && kernel->ends ? 0 : -ENOMEM;
}

static int attach(struct kernel *kernel, const char *const *interfaces, int count)
{
    struct bpf_program *program = bpf_object__find_program_by_name(kernel->object, "relay");
    for (int i = 0; i < count; i++) {
        unsigned index = if_nametoindex(interfaces[i]);
        if (!index)
            return -ENODEV;
        kernel->links[i] = bpf_program__attach_tcx(program, (int)index, NULL);
        if (!kernel->links[i])
            return -errno;
    }
    return 0;
}

int core_relay_in_kernel(struct core *core, const char *program, const char *const *interfaces, int count)
{
    if (count < 1 || count > MAX_INTERFACES || core->is_started || core->kernel)
        return -EINVAL;
    libbpf_set_print(NULL); /* the caller is told by the error */
    struct kernel *kernel = calloc(1, sizeof *kernel);
    if (!kernel)
        return -ENOMEM;
    core->kernel = kernel;
    int error = load(kernel, program, core->thread_count);
    if (!error)
        error = attach(kernel, interfaces, count);
    if (error)
        kernel_close(core);
    return error;
}

void kernel_close(struct core *core)
{
    struct kernel *kernel = core->kernel;
    if (!kernel)
        return;
    for (int i = 0; i < MAX_INTERFACES; i++)
        if (kernel->links[i])
            bpf_link__destroy(kernel->links[i]);
    if (kernel->copies)
        explicit_bzero(kernel->copies, kernel->copies_size), munmap(kernel->copies, kernel->copies_size);
    if (kernel->ends)
        munmap(kernel->ends, kernel->ends_size);
    if (kernel->object)
        bpf_object__close(kernel->object);
    free(kernel);
    core->kernel = NULL;
}

static struct flow_key key_of(const struct leg *leg)
{
    return (struct flow_key){.ip = leg->own.at.v4.sin_addr.s_addr, .port = leg->own.at.v4.sin_port};
}

static int is_v4(const struct address *address)
{
    return address->length && address->at.any.sa_family == AF_INET && address->at.v4.sin_addr.s_addr != INADDR_ANY;
}

/* No key of the leg's is being held back, or may have to be soon. */
static int is_free_of_keys(const struct leg *leg, int64_t now)
{
    int is_event = leg->event.has_event && !leg->event.has_ended;
    int is_tone = leg->tones.digit || (leg->sounded_star_ns != NEVER && now - leg->sounded_star_ns < STAR_WAIT_NS);
    return !leg->is_holding && !leg->is_secret_near && !leg->secret.is_on && !is_event && !is_tone && !leg->star.is_held;
}

/* What arrives at the leg goes on to its peer just as it is, and will until something is done about it. */
static int is_settled(const struct leg *from, int64_t now)
{
    const struct leg *to = from->peer;
    return to && from->is_configured && from->media.receives && !from->is_muted && !from->srtp && !to->srtp &&
           !from->is_latched && leg_can_hear(to) && from->media.codec == to->media.codec && !to->prompt.audio &&
           !digits_are_busy(to) && to->out.has_sent && !to->out.is_switching && to->out.source == FROM_BRIDGE &&
           from->in.has_stream && to->out.source_ssrc == from->in.ssrc && !to->out.has_hole &&
           is_free_of_keys(from, now) && is_v4(&from->own) && is_v4(&to->own) && is_v4(&from->rtp) && is_v4(&to->rtp);
}

static int is_loopback(const struct address *address)
{
    return (ntohl(address->at.v4.sin_addr.s_addr) >> 24) == IN_LOOPBACKNET;
}

/* 1 and the flow's way out, if the kernel can take it there. */
static int find_way(const struct leg *from, struct flow *flow)
{
    const struct leg *to = from->peer;
    flow->interface = 0;
    if (is_loopback(&from->rtp) || is_loopback(&to->rtp))
        return is_loopback(&from->rtp) && is_loopback(&to->rtp);
    flow->interface = (__u32)route_interface(flow->to_ip, flow->from_ip);
    return flow->interface != 0;
}

static int option_of(int fd, int option, int otherwise)
{
    int value;
    socklen_t length = sizeof value;
    return getsockopt(fd, IPPROTO_IP, option, &value, &length) ? otherwise : value;
}

static void describe(const struct leg *from, struct flow *flow)
{
    const struct leg *to = from->peer;
    memset(flow, 0, sizeof *flow);
    flow->leg = (__u64)from->id;
    flow->thread = (__u8)from->thread->index;
    flow->peer_ip = from->rtp.at.v4.sin_addr.s_addr;
    flow->peer_port = from->rtp.at.v4.sin_port;
    flow->ssrc = htonl(from->in.ssrc);
    flow->payload_type = (__u8)from->media.receive_pt;
    flow->from_ip = to->own.at.v4.sin_addr.s_addr;
    flow->from_port = to->own.at.v4.sin_port;
    flow->to_ip = to->rtp.at.v4.sin_addr.s_addr;
    flow->to_port = to->rtp.at.v4.sin_port;
    flow->out_ssrc = htonl(to->out.ssrc);
    flow->out_payload_type = (__u8)to->media.send_pt;
    flow->seq_offset = to->out.seq_offset;
    flow->ts_offset = to->out.ts_offset;
}

/* Nothing waits in its socket that what the kernel relays would overtake. */
static int is_up_to_date(const struct leg *leg)
{
    uint8_t first;
    return recv(leg->rtp_fd, &first, sizeof first, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

/* Tells the kernel of the leg's flow if it may relay it, and withdraws what it was told if it may no more. */
void kernel_settle(struct leg *leg, int64_t now)
{
    struct kernel *kernel = leg->thread->core->kernel;
    if (!kernel)
        return;
    if (!is_settled(leg, now)) {
        kernel_withdraw(leg);
        return;
    }
    struct flow flow;
    if (leg->is_relayed || now < leg->settle_ns || !is_up_to_date(leg))
        return; /* nothing of it changes while it is settled: whoever changes it has withdrawn it before */
    describe(leg, &flow);
    flow.tos = (__u8)option_of(leg->peer->rtp_fd, IP_TOS, 0);
    flow.ttl = (__u8)option_of(leg->peer->rtp_fd, IP_TTL, 64);
    struct flow_key key = key_of(leg);
    if (!find_way(leg, &flow) || bpf_map_update_elem(kernel->flows, &key, &flow, BPF_ANY))
        return;
    leg->is_relayed = 1;
    leg->has_relayed = 0;
    leg->thread->relayed++;
}

void kernel_withdraw(struct leg *leg)
{
    if (!leg->is_relayed)
        return;
    struct flow_key key = key_of(leg);
    bpf_map_delete_elem(leg->thread->core->kernel->flows, &key);
    leg->is_relayed = 0;
    leg->thread->relayed--;
}

static void take(struct thread *thread, struct leg *leg, struct copy *copy)
{
    int length = (int)copy->length;
    if (leg && length) {
        leg->has_relayed = 1;
        memcpy(thread->buffer, copy->rtp, (size_t)length);
        receive_rtp(leg, thread->buffer, length, (int64_t)copy->arrival_ns, 1);
        explicit_bzero(thread->buffer, (size_t)length);
    }
    explicit_bzero(copy->rtp, sizeof copy->rtp);
}

/* NULL: it has not come. */
static struct copy *copy_at(struct copy *ring, __u64 number)
{
    struct copy *copy = &ring[number & (COPY_SLOTS - 1)];
    return __atomic_load_n(&copy->turn, __ATOMIC_ACQUIRE) == number + 1 ? copy : NULL;
}

static struct leg *leg_of(struct thread *thread, struct copy *ring, __u64 number)
{
    const struct copy *copy = copy_at(ring, number);
    return copy ? leg_find(thread, (int64_t)copy->leg) : NULL;
}

/* Takes what the kernel has relayed so far. */
void kernel_take(struct thread *thread)
{
    struct kernel *kernel = thread->core->kernel;
    if (!kernel)
        return;
    struct copy_ends *ends = &kernel->ends[thread->index];
    struct copy *ring = &kernel->copies[(size_t)thread->index * COPY_SLOTS], *copy;
    int64_t now = clock_ns();
    for (__u64 number = ends->taken; (copy = copy_at(ring, number)) != NULL; number++) {
        fetch_ahead(leg_of(thread, ring, number + 1), leg_of(thread, ring, number + 2), leg_of(thread, ring, number + 3), now);
        take(thread, leg_of(thread, ring, number), copy);
        __atomic_store_n(&ends->taken, number + 1, __ATOMIC_RELEASE);
    }
}

/* Its socket has something: the kernel has withdrawn the flow by itself, or will not see it; what came before goes before. */
void kernel_catch_up(struct leg *leg)
{
    if (!leg->is_relayed)
        return;
    kernel_withdraw(leg);
    kernel_take(leg->thread);
    if (!leg->has_relayed)
        leg->settle_ns = clock_ns() + UNSEEN_NS;
}

/* Before anything is done to a leg: what comes at it, and what goes to it, is the core's again, up to the newest. */
void kernel_release(struct leg *leg)
{
    if (!leg->thread->core->kernel)
        return;
    kernel_withdraw(leg);
    if (leg->peer)
        kernel_withdraw(leg->peer);
    leg->settle_ns = 0;
    kernel_take(leg->thread);
}
