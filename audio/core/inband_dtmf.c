/* Tones in the audio of a leg: its stream as the detector follows it (tones.h). press.c judges what is found. */
#include <string.h>

#include "leg.h"
#include "thread.h"

#define LONGEST_GAP 80000 /* ticks; a larger step of the timestamp is a new clock, not silence */

/* How a packet joins what the detector has been fed with; by its number alone it may be late or double. */
enum inband_join inband_join(const struct leg *leg, const struct packet *packet)
{
    int32_t gap = (int32_t)(packet->ts - leg->tone_next_ts);
    int16_t after = (int16_t)(packet->seq - leg->tone_seq);
    if (!leg->has_tone_stream || leg->tone_ssrc != packet->ssrc || gap > LONGEST_GAP)
        return INBAND_ANEW;
    if (after > -MAX_MISORDER && (after < 0 || (after == 0 && gap)))
        return INBAND_PASSED;
    return gap < 0 ? INBAND_ANEW /* an earlier timestamp alone is a clock that has stepped back: what is said now is new */
           : gap ? INBAND_BEHIND_GAP : INBAND_NEXT;
}

/* Passes over what is missing before a packet; the number of events. */
int inband_skip(struct leg *leg, const struct packet *packet, struct tones_event *events)
{
    return tones_skip(&leg->tones, (int32_t)(packet->ts - leg->tone_next_ts), events, MAX_TONES_EVENTS);
}

/* Feeds the detector; the number of events. is_placed: the packet's first sample is at this position of its tap. */
int inband_feed(struct leg *leg, const struct packet *packet, int is_anew, int is_placed, int64_t position,
                struct tones_event *events)
{
    int16_t *samples = leg->thread->samples;
    const int16_t *linear = g711_linear[packet->codec == CODEC_PCMA];
    if (is_anew || packet->codec != leg->tone_codec)
        g722_init(&leg->decoder);
    leg->has_tone_stream = 1;
    leg->tone_ssrc = packet->ssrc;
    leg->tone_codec = (uint8_t)packet->codec;
    leg->tone_next_ts = packet->ts + (uint32_t)packet->length;
    leg->tone_seq = packet->seq;
    if (is_placed) {
        leg->tone_shift = position - leg->tones.position;
        leg->has_tone_shift = 1;
    }
    if (packet->codec == CODEC_G722)
        g722_decode_low(&leg->decoder, packet->payload, packet->length, samples);
    else
        for (int i = 0; i < packet->length; i++)
            samples[i] = linear[packet->payload[i]];
    int count = tones_feed(&leg->tones, samples, (size_t)packet->length, events, MAX_TONES_EVENTS);
    explicit_bzero(samples, sizeof *samples * (size_t)packet->length);
    return count;
}

/* Ends what sounds, as its stream has stopped; the number of events. No tone before that breaks a pause after it. */
int inband_finish(struct leg *leg, struct tones_event *events)
{
    int count = tones_skip(&leg->tones, 8 * TONES_BLOCK, events, MAX_TONES_EVENTS);
    leg->tones.trace_to = 0;
    return count;
}

/* Keeps nothing of the stream; the next packet begins one. */
void inband_leave(struct leg *leg)
{
    explicit_bzero(&leg->decoder, sizeof leg->decoder);
    leg->has_tone_stream = leg->has_tone_shift = 0;
}

/* Has a leg's audio listened to, or no more. */
void inband_set(struct leg *leg, int is_on)
{
    if (is_on && !leg->hears_tones) {
        tones_init(&leg->tones);
        leg->has_tone_stream = leg->has_tone_shift = 0;
    }
    if (!is_on)
        explicit_bzero(&leg->tones, sizeof leg->tones);
    leg->hears_tones = (uint8_t)is_on;
}

/* Forgets what was heard, without a word of it. */
void inband_reset(struct leg *leg)
{
    if (leg->hears_tones)
        tones_init(&leg->tones);
    inband_leave(leg);
}
