/* Legs: their life, what was negotiated, who hears them, and what of it is asked for (docs/media-core.md). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "kernel.h"
#include "leg.h"
#include "tap.h"
#include "thread.h"

#define MAX_SLOTS 0xFFFF

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

static int leg_attach(struct leg *leg, int rtp_fd, int rtcp_fd)
{
    struct {
        uint32_t ssrc, ts;
        uint16_t seq;
        uint8_t cname[12];
    } random;
    if (getrandom(&random, sizeof random, 0) != sizeof random)
        return -EIO;
    leg->rtp_fd = rtp_fd;
    leg->rtcp_fd = rtcp_fd;
    int error = leg_watch(leg);
    if (error)
        return error;
    leg->own.length = sizeof leg->own.at;
    getsockname(rtp_fd, &leg->own.at.any, &leg->own.length);
    leg->out.ssrc = random.ssrc;
    leg->out.seq = random.seq & 0x7FFF; /* far from its first round: a listener may miss the beginning (RFC 3711 section 3.3.1) */
    leg->out.ts = random.ts;
    leg->remote_lost = -1;
    press_init(leg);
    for (size_t i = 0; i < sizeof random.cname; i++) { /* RFC 7022: names no host */
        leg->cname[2 * i] = "0123456789abcdef"[random.cname[i] >> 4];
        leg->cname[2 * i + 1] = "0123456789abcdef"[random.cname[i] & 15];
    }
    leg->id = new_id(leg->thread, leg->slot);
    leg->thread->counters.legs++;
    thread_has_leg(leg->thread);
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
    press_end(leg, core_now(thread->core));
    unbridge(leg);
    kernel_leave(thread->core, leg->flow);
    tap_detach_leg(leg);
    delay_free(leg);
    srtp_free(leg);
    for (struct leg **link = &thread->active; *link; link = &(*link)->next_active)
        if (*link == leg) {
            *link = leg->next_active;
            break;
        }
    leg_unwatch(leg);
    thread->counters.lost += packets_lost(&leg->in);
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

int core_dtmf_policy(struct core *core, int64_t id, int policy, unsigned control, unsigned secret)
{
    if (policy < DTMF_PASS || policy > DTMF_MASK || control > 0xFFFF || secret > 0xFFFF || control & secret)
        return -EINVAL;
    int error;
    struct leg *leg = leg_lock(core, id, &error);
    if (!leg)
        return error;
    error = press_set_policy(leg, policy, control, secret, core_now(core));
    thread_unlock(leg->thread);
    return error;
}

int core_detect_tones(struct core *core, int64_t id, int is_on)
{
    int error;
    struct leg *leg = leg_lock(core, id, &error);
    if (!leg)
        return error;
    error = press_set_tones(leg, is_on, core_now(core));
    thread_unlock(leg->thread);
    return error;
}

int core_report_voice(struct core *core, int64_t id, int is_on)
{
    int error;
    struct leg *leg = leg_lock(core, id, &error);
    if (!leg)
        return error;
    leg->reports_voice = (uint8_t)is_on;
    thread_unlock(leg->thread);
    return 0;
}

int core_send_dtmf(struct core *core, int64_t id, int digit, int duration_ms)
{
    int code = digit_code(digit);
    if (code < 0 || duration_ms < 40 || duration_ms > 8000)
        return -EINVAL;
    int error;
    struct leg *leg = leg_lock(core, id, &error);
    if (!leg)
        return error;
    error = leg->is_configured && dtmf_queue(leg, code, (uint32_t)duration_ms * 8, core_now(core)) ? 0 : -EINVAL;
    thread_unlock(leg->thread);
    return error;
}

int core_inject(struct core *core, int64_t id, int is_rtcp, const uint8_t *packet, size_t length, int64_t arrival_ns)
{
    if (length > MAX_PACKET)
        return -EINVAL;
    int error;
    struct leg *leg = leg_lock(core, id, &error);
    if (!leg)
        return error;
    struct thread *thread = leg->thread;
    memcpy(thread->buffer, packet, length);
    if (is_rtcp)
        receive_rtcp(leg, thread->buffer, (int)length, arrival_ns);
    else
        receive_rtp(leg, thread->buffer, (int)length, arrival_ns, ORIGIN_SIGNALLED, 0);
    explicit_bzero(thread->buffer, length);
    thread_unlock(thread);
    return 0;
}

/* Four times a second: own RTCP, and silence where there should be media. */
void leg_house(struct leg *leg, int64_t now)
{
    leg->taken = 0;
    srtp_house(leg, now);
    press_house(leg, now);
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
    report(leg->thread->core, (struct event){.kind = EVENT_STOPPED, .id = leg->id, .a = silent_ns / NS_PER_MS});
}
