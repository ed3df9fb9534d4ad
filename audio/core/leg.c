/* Legs: their life, what was negotiated, and the way of a packet from the socket (docs/media-core.md). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>

#include "state.h"

#define MAX_SLOTS 0xFFFF
#define MAX_DROPOUT 3000 /* RFC 3550 appendix A.1: a larger step is a restart, not loss */
#define FORGET_NS (2000 * NS_PER_MS) /* what was keyed, and the last samples of a stream that has stopped */

/* The peer may be sent to now. */
int leg_can_hear(const struct leg *leg)
{
    return leg->is_configured && leg->media.sends && leg->rtp.length;
}

static struct leg *free_slot(struct thread *thread)
{
    for (int slot = 0; slot < thread->leg_slots; slot++)
        if (thread->legs[slot]->id == 0)
            return thread->legs[slot];
    if (thread->leg_slots == MAX_SLOTS)
        return NULL;
    struct leg **legs = realloc(thread->legs, sizeof *legs * (size_t)(thread->leg_slots + 1));
    if (!legs)
        return NULL;
    thread->legs = legs;
    struct leg *leg = slab_take(&thread->core->slabs, sizeof *leg, 0);
    if (!leg)
        return NULL;
    leg->slot = thread->leg_slots;
    leg->thread = thread;
    thread->legs[thread->leg_slots++] = leg;
    return leg;
}

static void leg_reset(struct leg *leg)
{
    int slot = leg->slot;
    struct thread *thread = leg->thread;
    explicit_bzero(leg, sizeof *leg);
    leg->slot = slot;
    leg->thread = thread;
}

static int watch(struct leg *leg, int fd, int is_rtcp)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = (void *)((uintptr_t)leg | (uintptr_t)is_rtcp)};
    return epoll_ctl(leg->thread->epoll, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

static int leg_attach(struct leg *leg, int rtp_fd, int rtcp_fd)
{
    struct {
        uint32_t ssrc, ts;
        uint16_t seq;
        uint8_t cname[12];
    } random;
    if (getrandom(&random, sizeof random, 0) != sizeof random)
        return -EIO;
    int error = watch(leg, rtp_fd, 0);
    if (!error && (error = watch(leg, rtcp_fd, 1)) != 0)
        epoll_ctl(leg->thread->epoll, EPOLL_CTL_DEL, rtp_fd, NULL);
    if (error)
        return error;
    leg->own.length = sizeof leg->own.at;
    getsockname(rtp_fd, &leg->own.at.any, &leg->own.length);
    leg->rtp_fd = rtp_fd;
    leg->rtcp_fd = rtcp_fd;
    leg->out.ssrc = random.ssrc;
    leg->out.seq = random.seq & 0x7FFF; /* far from its first round: a listener may miss the beginning (RFC 3711 section 3.3.1) */
    leg->out.ts = random.ts;
    leg->remote_lost = -1;
    presses_forget(&leg->keyed, NEVER);
    presses_forget(&leg->sounded, NEVER);
    leg->sounded_star_ns = NEVER;
    for (size_t i = 0; i < sizeof random.cname; i++) { /* RFC 7022: names no host */
        leg->cname[2 * i] = "0123456789abcdef"[random.cname[i] >> 4];
        leg->cname[2 * i + 1] = "0123456789abcdef"[random.cname[i] & 15];
    }
    leg->id = new_id(leg->thread, leg->slot);
    leg->thread->counters.legs++;
    return 0;
}

int64_t core_open_leg(struct core *core, int thread_index, int rtp_fd, int rtcp_fd)
{
    if (thread_index < 0 || thread_index >= core->thread_count || rtp_fd < 0 || rtcp_fd < 0)
        return -EINVAL;
    struct thread *thread = &core->threads[thread_index];
    slab_prepare(&core->slabs, sizeof(struct leg), 0);
    thread_lock(thread);
    int64_t result = -ESHUTDOWN;
    if (!core->is_closed) {
        struct leg *leg = free_slot(thread);
        int error = leg ? leg_attach(leg, rtp_fd, rtcp_fd) : -ENOMEM;
        result = error ? error : leg->id;
    }
    thread_unlock(thread);
    return result;
}

static void unbridge(struct leg *leg)
{
    if (!leg->peer)
        return;
    kernel_withdraw(leg);
    kernel_withdraw(leg->peer);
    delay_drop(leg);
    delay_drop(leg->peer);
    leg->peer->out.is_switching = leg->out.is_switching = 1;
    leg->peer->peer = NULL;
    leg->peer = NULL;
}

/* Takes a leg out of everything; its slot is free afterwards. */
void leg_detach(struct leg *leg)
{
    struct thread *thread = leg->thread;
    prompt_end(leg, 0);
    pin_end(leg, 0, SOURCE_RFC4733, core_now(thread->core));
    unbridge(leg);
    kernel_leave(leg);
    tap_detach_leg(leg);
    delay_free(leg);
    srtp_free(leg);
    for (struct leg **link = &thread->active; *link; link = &(*link)->next_active)
        if (*link == leg) {
            *link = leg->next_active;
            break;
        }
    if (thread->epoll >= 0) {
        epoll_ctl(thread->epoll, EPOLL_CTL_DEL, leg->rtp_fd, NULL);
        epoll_ctl(thread->epoll, EPOLL_CTL_DEL, leg->rtcp_fd, NULL);
    }
    leg_reset(leg);
    thread->counters.legs--;
}

int core_close_leg(struct core *core, int64_t id)
{
    int error;
    struct leg *leg = leg_lock(core, id, &error);
    if (!leg)
        return error;
    struct thread *thread = leg->thread;
    leg_detach(leg);
    thread_unlock(thread);
    return 0;
}

static int is_payload_type(int value, int may_be_none)
{
    return (value >= 0 && value <= 127) || (may_be_none && value == -1);
}

static int is_format(const struct leg_format *format)
{
    return (format->codec == CODEC_PCMU || format->codec == CODEC_PCMA || format->codec == CODEC_G722) &&
           is_payload_type(format->send_pt, 0) && is_payload_type(format->receive_pt, 0);
}

static int is_format_or_none(const struct leg_format *format)
{
    return format->receive_pt == -1 || is_format(format);
}

int core_update_leg(struct core *core, int64_t id, const struct leg_media *media)
{
    if (!is_format(&media->first) || !is_format_or_none(&media->more[0]) || !is_format_or_none(&media->more[1]) ||
        !is_payload_type(media->send_event_pt, 1) || !is_payload_type(media->receive_event_pt, 1))
        return -EINVAL;
    int error;
    struct leg *leg = leg_lock(core, id, &error);
    if (!leg)
        return error;
    if (!leg->is_configured || leg->media.sends != media->sends || leg->media.first.codec != media->first.codec)
        leg->out.is_switching = 1;
    if (leg->media.first.codec != media->first.codec) {
        delay_drop(leg);
        leg->has_tone_stream = 0;
    }
    if (!leg->is_configured || leg->media.receives != media->receives) {
        leg->last_arrival_ns = leg->sources.since_ns = core_now(core); /* silence counts from here */
        leg->has_stopped = 0;
    }
    leg->media = *media;
    leg->is_configured = 1;
    thread_unlock(leg->thread);
    return 0;
}

int core_bridge(struct core *core, int64_t a_id, int64_t b_id)
{
    int error;
    struct leg *a = leg_lock(core, a_id, &error);
    if (!a)
        return error;
    struct leg *b = leg_find(a->thread, b_id);
    error = b ? 0 : thread_of(core, b_id) && thread_of(core, b_id) != a->thread ? -EINVAL : -ENOENT;
    if (b && (a == b || (a->is_configured && b->is_configured && !same_rate(a->media.first.codec, b->media.first.codec))))
        error = -EINVAL;
    if (!error && a->peer != b) {
        kernel_release(b);
        unbridge(a);
        unbridge(b);
        a->peer = b;
        b->peer = a;
        a->out.is_switching = b->out.is_switching = 1;
        a->last_arrival_ns = b->last_arrival_ns = core_now(core);
        a->has_stopped = b->has_stopped = 0;
    }
    thread_unlock(a->thread);
    return error;
}

int core_unbridge(struct core *core, int64_t id)
{
    int error;
    struct leg *leg = leg_lock(core, id, &error);
    if (!leg)
        return error;
    unbridge(leg);
    thread_unlock(leg->thread);
    return 0;
}

int core_mute(struct core *core, int64_t id, int is_muted)
{
    int error;
    struct leg *leg = leg_lock(core, id, &error);
    if (!leg)
        return error;
    leg->is_muted = (uint8_t)is_muted;
    delay_drop(leg);
    if (leg->peer)
        leg->peer->out.is_switching = 1;
    thread_unlock(leg->thread);
    return 0;
}

/* Packets missing so far (RFC 3550 appendix A.3), restarts of the sender added up; never negative. */
int64_t packets_lost(const struct receiver *in)
{
    int64_t expected = in->has_stream ? (int64_t)in->cycles + in->max_seq - in->base_seq + 1 : 0;
    int64_t lost = expected - in->stream_received;
    return in->lost_before + (lost > 0 ? lost : 0);
}

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

static void note_sequence(struct receiver *in, const struct packet *packet)
{
    uint32_t transit = (uint32_t)(packet->arrival_ns * 8 / NS_PER_MS) - packet->ts;
    int16_t step = (int16_t)(packet->seq - in->max_seq);
    if (!in->has_stream || in->ssrc != packet->ssrc || step > MAX_DROPOUT || step < -MAX_MISORDER) {
        in->lost_before = packets_lost(in);
        in->has_stream = 1;
        in->ssrc = packet->ssrc;
        in->base_seq = in->max_seq = packet->seq;
        in->cycles = 0;
        in->stream_received = in->prior_expected = in->prior_received = 0;
    } else {
        if (step > 0) {
            in->cycles += packet->seq < in->max_seq ? 0x10000 : 0;
            in->max_seq = packet->seq;
        }
        uint32_t change = transit - in->transit;
        change = (int32_t)change < 0 ? 0u - change : change;
        in->jitter += change - ((in->jitter + 8) >> 4);
    }
    in->transit = transit;
    in->stream_received++;
    in->received++;
}

static uint32_t read_u32(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* RFC 3550 section 5.1; 0 when the packet is not what its header says. */
static int parse(uint8_t *data, int length, int64_t arrival_ns, struct packet *out)
{
    if (length < RTP_HEADER || data[0] >> 6 != 2)
        return 0;
    int start = RTP_HEADER + 4 * (data[0] & 15);
    if (data[0] & 0x10) {
        if (length < start + 4)
            return 0;
        start += 4 + 4 * (data[start + 2] << 8 | data[start + 3]);
    }
    int padding = data[0] & 0x20 ? data[length - 1] : 0;
    if (start + padding > length || (data[0] & 0x20 && padding == 0))
        return 0;
    out->payload = data + start;
    out->length = length - start - padding;
    out->has_marker = data[1] >> 7;
    out->payload_type = data[1] & 0x7F;
    out->seq = (uint16_t)(data[2] << 8 | data[3]);
    out->ts = read_u32(data + 4);
    out->ssrc = read_u32(data + 8);
    out->arrival_ns = arrival_ns;
    return 1;
}

static void receive_audio(struct leg *leg, const struct packet *packet)
{
    int64_t position = 0;
    int is_placed = leg->tap && !packet->is_beside && tap_receive(leg, packet, &position);
    int was_delaying = leg->is_delaying, is_heard = leg->hears_tones && inband_audio(leg, packet, is_placed, position);
    if (packet->is_relayed) {
        forward_relayed(leg, packet);
        return;
    }
    if (packet->is_unproven) {
        if (leg->peer)
            leg->peer->out.is_switching = 1;
        return;
    }
    if (leg->is_delaying) {
        delay_audio(leg, packet, is_heard);
        return;
    }
    if (was_delaying)
        delay_silence_tail(leg, packet);
    forward_audio(leg, packet); /* last: it writes over the packet */
}

int leg_codec_of(const struct leg *leg, int payload_type)
{
    if (payload_type == leg->media.first.receive_pt)
        return leg->media.first.codec;
    for (int i = 0; i < MORE_FORMATS; i++)
        if (payload_type == leg->media.more[i].receive_pt)
            return leg->media.more[i].codec;
    return -1;
}

/* Silence of a peer that was not asked to leave it out: no audio, but the peer is there (RFC 3389). */
static int is_comfort_noise(const struct leg *leg, const uint8_t *data, int length)
{
    return leg->is_configured && leg->media.receives && length >= RTP_HEADER && data[0] >> 6 == 2 &&
           ((data[1] & 0x7F) == 13 || (data[1] & 0x7F) == 19);
}

/* One packet, from a socket or injected; data is the thread's buffer. 0: it counted for nothing. */
int receive_rtp(struct leg *leg, uint8_t *data, int length, int64_t arrival_ns, enum origin origin, int is_relayed)
{
    struct packet packet;
    int is_event = 0, is_good;
    if (leg->srtp)
        length = srtp_unprotect(leg, data, length, 0, arrival_ns);
    is_good = leg->is_configured && leg->media.receives && parse(data, length, arrival_ns, &packet);
    if (is_good) {
        is_event = packet.payload_type == leg->media.receive_event_pt;
        is_good = is_event || (packet.codec = leg_codec_of(leg, packet.payload_type)) >= 0;
    }
    if (origin == ORIGIN_SIGNALLED && (is_good || is_comfort_noise(leg, data, length)))
        source_spoke(leg, arrival_ns, is_good && !is_event && packet.length > 0);
    if (!is_good || (is_event && origin == ORIGIN_UNPROVEN)) { /* nobody's keys count who may be a stranger */
        leg->dropped++;
        leg->thread->counters.dropped++;
        return 0;
    }
    packet.is_relayed = is_relayed;
    packet.is_unproven = origin == ORIGIN_UNPROVEN;
    packet.has_returned = packet.is_beside = 0;
    if (!is_event && packet.length > 0 && stream_is_left_out(leg, &packet)) {
        kernel_leave_alone(leg, arrival_ns);
        leg->dropped++;
        leg->thread->counters.dropped++;
        return 0;
    }
    leg->thread->counters.received++;
    leg->thread->counters.relayed += is_relayed;
    leg->last_arrival_ns = arrival_ns;
    if (leg->has_stopped) {
        leg->has_stopped = 0;
        report(leg->thread->core, EVENT_RESUMED, leg->id, 0, 0, 0);
    }
    note_sequence(&leg->in, &packet);
    if (!is_event) {
        leg->heard_codec = packet.codec;
        leg->heard_pt = packet.payload_type;
    }
    if (is_event)
        receive_event(leg, &packet);
    else if (packet.length > 0)
        receive_audio(leg, &packet);
    else
        delay_swallowed(leg, &packet); /* a keep-alive */
    return 1;
}

/* As the kernel relays them: nothing has to be taken off it. */
static int is_plain_rtp(const uint8_t *data, int length)
{
    return length > RTP_HEADER && length <= MAX_RELAYED && data[0] == 0x80;
}

static int is_of_stream(const struct leg *leg, const uint8_t *data)
{
    return read_u32(data + 8) == leg->in.ssrc && (data[1] & 0x7F) == leg->heard_pt;
}

/* Takes one datagram, and tells whether there was one that counts for nothing. */
static int took_stranger(struct leg *leg, int is_rtcp, int64_t now)
{
    struct thread *thread = leg->thread;
    struct address source;
    int is_stranger = 0;
    source.length = sizeof source.at;
    ssize_t length = recvfrom(is_rtcp ? leg->rtcp_fd : leg->rtp_fd, thread->buffer, sizeof thread->buffer,
                              MSG_DONTWAIT, &source.at.any, &source.length);
    if (length < 0)
        return 0;
    enum origin origin = length > MAX_PACKET ? ORIGIN_STRANGER
                         : !is_rtcp ? source_judge(leg, thread->buffer, (int)length, &source, now)
                         : is_rtcp_of_peer(leg, &source) ? ORIGIN_SIGNALLED : ORIGIN_STRANGER;
    if (origin == ORIGIN_STRANGER) {
        is_stranger = 1;
        leg->dropped++;
        thread->counters.dropped++;
    } else if (is_rtcp) {
        receive_rtcp(leg, thread->buffer, (int)length, now);
    } else {
        int is_plain = is_plain_rtp(thread->buffer, (int)length) && is_signalled(leg, &source);
        kernel_catch_up(leg, is_plain && is_of_stream(leg, thread->buffer));
        if (receive_rtp(leg, thread->buffer, (int)length, now, origin, 0) && is_plain)
            kernel_settle(leg, now);
    }
    explicit_bzero(thread->buffer, (size_t)length);
    return is_stranger;
}

/* Takes one datagram of the peer's; epoll is level-triggered and comes back for more. What strangers sent is cleared
   away at once: one packet a wake-up would leave a flood in the socket's buffer, and none of the room to the peer. */
void socket_readable(struct leg *leg, int is_rtcp, int64_t now)
{
    int strangers = 0;
    while (leg->id && strangers < MAX_STRANGERS && took_stranger(leg, is_rtcp, now)) /* no id: closed meanwhile */
        strangers++;
}

static int inject(struct core *core, int64_t id, const uint8_t *packet, size_t length, int64_t arrival_ns, int is_rtcp)
{
    if (length > MAX_PACKET)
        return -EINVAL;
    int error;
    struct leg *leg = leg_lock(core, id, &error);
    if (!leg)
        return error;
    struct thread *thread = leg->thread;
    memcpy(thread->buffer, packet, length);
    (is_rtcp ? (void)receive_rtcp(leg, thread->buffer, (int)length, arrival_ns)
             : (void)receive_rtp(leg, thread->buffer, (int)length, arrival_ns, ORIGIN_SIGNALLED, 0));
    explicit_bzero(thread->buffer, length);
    thread_unlock(thread);
    return 0;
}

int core_inject(struct core *core, int64_t id, const uint8_t *packet, size_t length, int64_t arrival_ns)
{
    return inject(core, id, packet, length, arrival_ns, 0);
}

int core_inject_rtcp(struct core *core, int64_t id, const uint8_t *packet, size_t length, int64_t arrival_ns)
{
    return inject(core, id, packet, length, arrival_ns, 1);
}

/* Four times a second: own RTCP, and silence where there should be media. */
void leg_house(struct leg *leg, int64_t now)
{
    srtp_house(leg, now);
    presses_forget(&leg->keyed, now - FORGET_NS);
    presses_forget(&leg->sounded, now - FORGET_NS);
    if (leg->has_tone_stream && now - leg->last_arrival_ns > FORGET_NS)
        inband_end(leg, now);
    if (leg->rtcp_next_ns && now >= leg->rtcp_next_ns) {
        kernel_withdraw(leg); /* the next packet goes by its socket, past filters and whoever tracks connections */
        send_rtcp(leg, now);
    }
    if (!leg->peer || !leg->is_configured || !leg->media.receives || leg->has_stopped)
        return;
    int64_t silent_ns = now - leg->last_arrival_ns;
    if (silent_ns < leg->thread->core->dead_rtp_ns)
        return;
    leg->has_stopped = 1;
    report(leg->thread->core, EVENT_STOPPED, leg->id, silent_ns / NS_PER_MS, 0, 0);
}
