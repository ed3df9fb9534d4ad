/* What is in a drained block: how much of what, and how loud, for pictures of recordings and the one-way check; no state, no lock. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <string.h>

#include "codecs.h"
#include "core.h"
#include "packet.h"
#include "wide.h"

#define RUN_HEADER 24
#define RECORD_AUDIO 1
#define RECORD_ANCHOR 2
#define RECORD_LOST 3
#define BUCKET 800
#define COUNTED 224 /* bytes: whole vectors, and no more than a byte can count */

struct run {
    const uint8_t *payload;
    int64_t start, length;
    int codec;
};

static uint64_t get_le(const uint8_t *at, int bytes)
{
    uint64_t value = 0;
    for (int i = bytes - 1; i >= 0; i--)
        value = value << 8 | at[i];
    return value;
}

/* The next audio run of a channel at or after *at: 1, 0 at the end, -EINVAL for a torn block. */
static int next_run(const uint8_t *block, size_t length, int channel, size_t *at, struct run *run)
{
    while (*at < length) {
        const uint8_t *head = block + *at;
        if (length - *at < RUN_HEADER)
            return -EINVAL;
        size_t payload = head[0] == RECORD_AUDIO ? get_le(head + 4, 4) : 0;
        if (length - *at - RUN_HEADER < payload)
            return -EINVAL;
        *at += RUN_HEADER + payload;
        if (head[0] != RECORD_AUDIO || head[1] != channel)
            continue;
        *run = (struct run){head + RUN_HEADER, (int64_t)get_le(head + 8, 8), (int64_t)payload, head[2]};
        if (run->start < 0 || run->start > INT64_MAX / 2)
            return -EINVAL;
        return 1;
    }
    return 0;
}

static int is_known(const uint8_t *head)
{
    int is_codec = head[2] == CODEC_PCMU || head[2] == CODEC_PCMA || head[2] == CODEC_G722;
    return head[1] <= RIGHT && !head[3] && (head[0] == RECORD_LOST || (is_codec && (head[0] == RECORD_AUDIO || head[0] == RECORD_ANCHOR)));
}

/* How many bytes stand for the largest value of their law; counted in bytes, of which a vector has many, and added up seldom. */
WIDE static int64_t clipped_of(const uint8_t *data, int64_t length, int codec)
{
    uint8_t inverted = codec == CODEC_PCMA ? 0x55 : 0xFF;
    int64_t clipped = 0;
    while (length > 0) {
        int count = length < COUNTED ? (int)length : COUNTED;
        uint8_t some = 0;
        for (int i = 0; i < count; i++)
            some += ((data[i] ^ inverted) & 0x7F) == 0x7F;
        clipped += some;
        data += count;
        length -= count;
    }
    return clipped;
}

int survey_of_block(const uint8_t *block, size_t length, struct block_survey *out)
{
    *out = (struct block_survey){.anchored = {-1, -1}};
    for (size_t at = 0; at < length;) {
        const uint8_t *head = block + at;
        if (length - at < RUN_HEADER || !is_known(head))
            return -EINVAL;
        int64_t ticks = (int64_t)get_le(head + 4, 4), start = (int64_t)get_le(head + 8, 8);
        size_t payload = head[0] == RECORD_AUDIO ? (size_t)ticks : 0;
        if (length - at - RUN_HEADER < payload || start < 0 || start > INT64_MAX / 2)
            return -EINVAL;
        at += RUN_HEADER + payload;
        if (head[0] == RECORD_ANCHOR) {
            out->anchored[head[1]] = start;
            out->arrived[head[1]] = (int64_t)get_le(head + 16, 8);
            continue;
        }
        out->end = start + ticks > out->end ? start + ticks : out->end;
        out->lost += head[0] == RECORD_LOST;
        out->ticks[head[1]] += (int64_t)payload;
        if (payload == 0)
            continue;
        out->codecs[head[1]] |= 1U << head[2];
        if (head[2] != CODEC_G722)
            out->clipped[head[1]] += clipped_of(head + RUN_HEADER, ticks, head[2]);
    }
    return 0;
}

int64_t buckets_of_block(const uint8_t *block, size_t length, int channel)
{
    struct run run;
    size_t at = 0;
    int64_t first = INT64_MAX, last = -1;
    int status;
    while ((status = next_run(block, length, channel, &at, &run)) > 0) {
        if (run.length == 0)
            continue;
        int64_t from = run.start / BUCKET, to = (run.start + run.length - 1) / BUCKET;
        first = from < first ? from : first;
        last = to > last ? to : last;
    }
    return status < 0 ? status : last < 0 ? 0 : last - first + 1;
}

/* The bits of a G.711 byte that say how loud it is, as a number that grows with the loudness (the lower seven, freed of the
   law's inversions): the loudest of many bytes needs one look into the table. */
WIDE static int loudest_of(const uint8_t *data, int64_t length, int codec)
{
    uint8_t inverted = codec == CODEC_PCMA ? 0x55 : 0xFF, most = 0;
    for (int64_t i = 0; i < length; i++) {
        uint8_t loudness = (data[i] ^ inverted) & 0x7F;
        most = loudness > most ? loudness : most;
    }
    return abs(g711_linear[codec == CODEC_PCMA][most ^ inverted]);
}

int levels_of_block(const uint8_t *block, size_t length, int channel, int64_t *first, uint8_t *out, uint8_t *has, int max)
{
    struct run run;
    size_t at = 0;
    int count = 0, status;
    *first = -1;
    while ((status = next_run(block, length, channel, &at, &run)) > 0) {
        for (int64_t i = 0; i < run.length;) {
            int64_t position = run.start + i, bucket = position / BUCKET;
            int64_t end = i + BUCKET - position % BUCKET;
            end = end < run.length ? end : run.length;
            *first = *first < 0 ? bucket : *first;
            if (bucket < *first || bucket - *first >= max)
                return -EINVAL; /* runs of a channel ascend */
            int peak = run.codec == CODEC_G722 ? 0 : loudest_of(run.payload + i, end - i, run.codec);
            i = end;
            int slot = (int)(bucket - *first);
            peak = peak >> 7 < 255 ? peak >> 7 : 255;
            out[slot] = (uint8_t)(peak > out[slot] ? peak : out[slot]);
            has[slot] = 1;
            count = slot + 1 > count ? slot + 1 : count;
        }
    }
    return status < 0 ? status : count;
}

int64_t samples_of_block(const uint8_t *block, size_t length, int channel, int64_t start, int16_t *out, int64_t count)
{
    struct run run;
    size_t at = 0;
    int status;
    if (start < 0 || start > INT64_MAX / 2)
        return -EINVAL;
    int64_t there = 0, end = start + count;
    memset(out, 0, sizeof *out * (size_t)count);
    while ((status = next_run(block, length, channel, &at, &run)) > 0) {
        int64_t from = run.start > start ? run.start : start;
        int64_t to = run.start + run.length < end ? run.start + run.length : end;
        if (run.codec == CODEC_G722)
            continue;
        for (int64_t i = from; i < to; i++)
            out[i - start] = g711_linear[run.codec == CODEC_PCMA][run.payload[i - run.start]];
        there += to > from ? to - from : 0;
    }
    return status < 0 ? status : there;
}
