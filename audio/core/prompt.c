/* Prompts: 160 bytes every 20 ms, paced to absolute deadlines on a grid of 5 ms that all legs of a thread share. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "leg.h"
#include "thread.h"

#define GRID_NS (5 * NS_PER_MS)
#define TOO_LATE_NS (200 * NS_PER_MS) /* after a stall of the machine the rest is not sent in one burst */

void prompt_end(struct leg *leg, int is_complete)
{
    struct prompt *prompt = &leg->prompt;
    if (!prompt->audio)
        return;
    int64_t due = (int64_t)(prompt->length / FRAME_TICKS);
    report(leg->thread->core, (struct event){.kind = EVENT_PROMPT, .id = leg->id, .a = prompt->tag, .b = prompt->sent,
                                             .c = due * 2 + (is_complete && prompt->is_whole)});
    explicit_bzero(prompt->audio, prompt->length);
    free(prompt->audio);
    explicit_bzero(prompt, sizeof *prompt);
    leg->out.is_switching = 1;
}

/* Sends the frame that is due; 0 if the leg did not get it. */
static int send_frame(struct leg *leg, int64_t now)
{
    struct prompt *prompt = &leg->prompt;
    struct thread *thread = leg->thread;
    uint8_t *payload = thread->buffer + RTP_HEADER;
    if (!leg_can_hear(leg) || !same_rate(prompt->codec, leg->media.first.codec))
        return 0;
    memcpy(payload, prompt->audio + prompt->at, FRAME_TICKS);
    if (prompt->codec != leg->media.first.codec)
        for (int i = 0; i < FRAME_TICKS; i++)
            payload[i] = g711_other[prompt->codec == CODEC_PCMA][payload[i]];
    struct sender *out = &leg->out;
    int is_switch = stream_align(leg, FROM_PROMPT, 0, 0, 0, now);
    uint16_t seq = is_switch ? out->seq_offset : (uint16_t)(out->seq + 1);
    uint32_t ts = is_switch ? out->ts_offset : out->ts + FRAME_TICKS;
    int is_sent = send_rtp(leg, payload, FRAME_TICKS, leg->media.first.send_pt, is_switch, seq, ts, FRAME_TICKS, now);
    explicit_bzero(payload, FRAME_TICKS);
    return is_sent;
}

/* Sends what is due by now; when the leg wants to be called again, NEVER if nothing plays. */
int64_t prompt_tick(struct leg *leg, int64_t now)
{
    struct prompt *prompt = &leg->prompt;
    if (prompt->audio && now - prompt->next_ns > TOO_LATE_NS)
        prompt->next_ns = now;
    while (prompt->audio && prompt->next_ns <= now) {
        if (digits_are_busy(leg)) { /* digits of ours go first, the prompt waits */
            prompt->next_ns += FRAME_NS;
            continue;
        }
        if (prompt->at == prompt->length && prompt->loop)
            prompt->at = 0;
        if (prompt->at == prompt->length) {
            prompt_end(leg, 1); /* a frame's time after the last: it has been heard */
            break;
        }
        if (send_frame(leg, now)) {
            prompt->sent++;
        } else {
            prompt->is_whole = 0;
            leg->out.is_switching = 1;
        }
        prompt->at += FRAME_TICKS;
        prompt->next_ns += FRAME_NS;
    }
    return prompt->audio ? prompt->next_ns : NEVER;
}

int core_play(struct core *core, int64_t id, const uint8_t *audio, size_t length, int64_t tag, int loop)
{
    if (length == 0 || length % FRAME_TICKS)
        return -EINVAL;
    uint8_t *copy = malloc(length);
    if (!copy)
        return -ENOMEM;
    memcpy(copy, audio, length);
    int error;
    struct leg *leg = leg_lock(core, id, &error);
    if (leg && !leg->is_configured) {
        thread_unlock(leg->thread);
        error = -EINVAL;
        leg = NULL;
    }
    if (!leg) {
        free(copy);
        return error;
    }
    prompt_end(leg, 0);
    int64_t start = (core_now(core) + GRID_NS - 1) / GRID_NS * GRID_NS;
    leg->prompt = (struct prompt){.audio = copy, .length = length, .tag = tag, .next_ns = start,
                                  .codec = (uint8_t)leg->media.first.codec, .loop = (uint8_t)loop, .is_whole = 1};
    leg->out.is_switching = 1;
    leg_wake_at(leg, start);
    thread_unlock(leg->thread);
    return 0;
}

int core_stop(struct core *core, int64_t id)
{
    int error;
    struct leg *leg = leg_lock(core, id, &error);
    if (!leg)
        return error;
    prompt_end(leg, 0);
    thread_unlock(leg->thread);
    return 0;
}
