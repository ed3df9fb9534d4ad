/*
 * SRTP and SRTCP of a leg, packet by packet (RFC 3711), over Nettle's AES and HMAC (ADR 14). Nothing is allocated for one.
 */
#include <nettle/ctr.h>
#include <nettle/memops.h>
#include <string.h>

#include "leg.h"
#include "srtp.h"
#include "thread.h"
#include "wire.h"

#define RTCP_CLEAR 8         /* header and SSRC of the first packet of a compound */
#define RTCP_INDEX_BYTES 4
#define RTCP_ENCRYPTED 0x80000000u
#define WINDOW 128           /* packets that may come late; RFC 3711 section 3.3.2 asks for 64 */
#define RTCP_TAG_BYTES 10
#define RTCP_WINDOW 64
#define LATE_START 4096      /* a stream first heard below this number may have gone round once already: 82 s of 20 ms */
#define ALARM_AT 25          /* packets under a wrong key that are no accident: half a second of speech */

enum verdict { ACCEPTED, UNAUTHENTIC, REPLAYED };

/* --- indexes: how often the numbers of a source have gone round, and what has been seen of it */

/* The index nearest to the newest (RFC 3711 section 3.3.1 and appendix A); -1: before the beginning. */
static int64_t index_of(const struct source *source, uint16_t seq)
{
    if (!source || !source->has_rtp)
        return seq;
    return (int64_t)source->newest + (int16_t)(seq - (uint16_t)source->newest);
}

static int is_fresh(const struct source *source, int64_t index)
{
    if (index < 0)
        return 0;
    if (!source || !source->has_rtp || (uint64_t)index > source->newest)
        return 1;
    return source->newest - (uint64_t)index < WINDOW && !(source->seen[index / 64 % WINDOW_WORDS] >> index % 64 & 1);
}

static void note_index(struct source *source, uint64_t index)
{
    if (!source->has_rtp || index >= source->newest + WINDOW)
        memset(source->seen, 0, sizeof source->seen);
    else
        for (uint64_t i = source->newest + 1; i <= index; i++)
            source->seen[i / 64 % WINDOW_WORDS] &= ~(1ULL << i % 64);
    if (!source->has_rtp || index > source->newest)
        source->newest = index;
    source->seen[index / 64 % WINDOW_WORDS] |= 1ULL << index % 64;
    source->has_rtp = 1;
}

static int is_fresh_control(const struct source *source, uint32_t index)
{
    if (!source || !source->has_control || index > source->control_newest)
        return 1;
    uint32_t late = source->control_newest - index;
    return late < RTCP_WINDOW && !(source->control_seen >> late & 1);
}

static void note_control(struct source *source, uint32_t index)
{
    if (!source->has_control || index > source->control_newest) {
        uint32_t step = source->has_control ? index - source->control_newest : RTCP_WINDOW;
        source->control_seen = step < RTCP_WINDOW ? source->control_seen << step : 0;
        source->control_newest = index;
    }
    source->control_seen |= 1ULL << (source->control_newest - index);
    source->has_control = 1;
}

static struct source *source_find(struct opening *opening, uint32_t ssrc)
{
    for (int i = 0; i < opening->source_count; i++)
        if (opening->sources[i].ssrc == ssrc)
            return &opening->sources[i];
    return NULL;
}

/* Room for an SSRC that has proved to have the key; NULL: there have been too many. */
static struct source *source_add(struct opening *opening, uint32_t ssrc)
{
    if (opening->source_count == SOURCES)
        return NULL;
    struct source *source = &opening->sources[opening->source_count++];
    source->ssrc = ssrc;
    return source;
}

/* --- packets */

/* RFC 3711 section 4.1.1; src and dst may be the same. */
static void crypt(struct cipher *cipher, uint32_t ssrc, uint64_t index, const uint8_t *src, uint8_t *dst, int length)
{
    uint8_t counter[AES_BLOCK_SIZE] = {0};
    memcpy(counter, cipher->salt, SALT_BYTES);
    for (int i = 0; i < 4; i++)
        counter[4 + i] ^= (uint8_t)(ssrc >> (24 - 8 * i));
    for (int i = 0; i < 6; i++)
        counter[8 + i] ^= (uint8_t)(index >> (40 - 8 * i));
    ctr_crypt(&cipher->aes, cipher->encrypt, AES_BLOCK_SIZE, counter, (size_t)length, dst, src);
}

/* RFC 3711 section 4.2: over the packet, and for RTP over how often its numbers have gone round, which it does not carry. */
static void tag_of(struct cipher *cipher, const uint8_t *data, int length, const uint64_t *index, uint8_t *tag, int bytes)
{
    uint8_t rounds[4];
    hmac_sha1_update(&cipher->auth, (size_t)length, data);
    if (index) {
        put_u32(rounds, (uint32_t)(*index >> 16));
        hmac_sha1_update(&cipher->auth, sizeof rounds, rounds);
    }
    hmac_sha1_digest(&cipher->auth, (size_t)bytes, tag);
}

static int is_tag(struct cipher *cipher, const uint8_t *data, int length, const uint64_t *index, const uint8_t *tag, int bytes)
{
    uint8_t own[RTCP_TAG_BYTES];
    tag_of(cipher, data, length, index, own, bytes);
    return memeql_sec(own, tag, (size_t)bytes);
}

/* What is in the clear: header, CSRCs and extension (RFC 3711 section 3.1); more than length if it does not fit. */
static int clear_bytes(const uint8_t *data, int length)
{
    int clear = RTP_HEADER + 4 * (data[0] & 15);
    if (data[0] & 0x10 && clear + 4 <= length)
        return clear + 4 + 4 * (data[clear + 2] << 8 | data[clear + 3]);
    return data[0] & 0x10 ? length + 1 : clear;
}

static enum verdict open_rtp(struct opening *opening, uint8_t *data, int *length)
{
    struct keys *keys = &opening->keys;
    int tag_at = *length - keys->tag_bytes, end = tag_at - opening->mki_bytes;
    if (!keys->is_set || end < RTP_HEADER || clear_bytes(data, end) > end ||
        memcmp(data + end, opening->mki, (size_t)opening->mki_bytes))
        return UNAUTHENTIC;
    uint16_t seq = (uint16_t)(data[2] << 8 | data[3]);
    uint32_t ssrc = get_u32(data + 8);
    struct source *source = source_find(opening, ssrc);
    int64_t guess = index_of(source, seq);
    if (!is_fresh(source, guess))
        return REPLAYED;
    uint64_t index = (uint64_t)guess;
    int is_good = is_tag(&keys->rtp, data, end, &index, data + tag_at, keys->tag_bytes);
    if (!is_good && (!source || !source->has_rtp) && seq < LATE_START) {
        index += 0x10000; /* it may have begun just below 65536, before the key came to us */
        is_good = is_tag(&keys->rtp, data, end, &index, data + tag_at, keys->tag_bytes);
    }
    if (!is_good || (!source && !(source = source_add(opening, ssrc))))
        return UNAUTHENTIC;
    note_index(source, index);
    int clear = clear_bytes(data, end);
    crypt(&keys->rtp, ssrc, index, data + clear, data + clear, end - clear);
    *length = end;
    return ACCEPTED;
}

static enum verdict open_rtcp(struct opening *opening, uint8_t *data, int *length)
{
    struct keys *keys = &opening->keys;
    int tag_at = *length - RTCP_TAG_BYTES, mki_at = tag_at - opening->mki_bytes, end = mki_at - RTCP_INDEX_BYTES;
    if (!keys->is_set || end < RTCP_CLEAR || memcmp(data + mki_at, opening->mki, (size_t)opening->mki_bytes))
        return UNAUTHENTIC;
    uint32_t word = get_u32(data + end), index = word & ~RTCP_ENCRYPTED, ssrc = get_u32(data + 4);
    struct source *source = source_find(opening, ssrc);
    if (!is_fresh_control(source, index))
        return REPLAYED;
    if (!is_tag(&keys->rtcp, data, mki_at, NULL, data + tag_at, RTCP_TAG_BYTES) || !(word & RTCP_ENCRYPTED) ||
        (!source && !(source = source_add(opening, ssrc))))
        return UNAUTHENTIC;
    note_control(source, index);
    crypt(&keys->rtcp, ssrc, index, data + RTCP_CLEAR, data + RTCP_CLEAR, end - RTCP_CLEAR);
    *length = end;
    return ACCEPTED;
}

static void count_refused(struct leg *leg, enum verdict verdict)
{
    struct srtp *srtp = leg->srtp;
    if (verdict == REPLAYED) {
        leg->replayed++;
        leg->thread->counters.srtp_replayed++;
        return;
    }
    leg->unauthentic++;
    leg->thread->counters.srtp_unauthentic++;
    if (++srtp->failed < ALARM_AT || srtp->has_alarmed)
        return;
    srtp->has_alarmed = 1;
    report(leg->thread->core, (struct event){.kind = EVENT_UNAUTHENTIC, .id = leg->id, .a = srtp->failed});
}

/*
 * Opens a packet of the peer's where it lies; its length without what SRTP added, or 0 if it is refused, and counted.
 * It is called for every packet, wanted or not: one that is passed over would be missing from the count of rounds.
 */
int srtp_unprotect(struct leg *leg, uint8_t *data, int length, int is_rtcp, int64_t now)
{
    struct srtp *srtp = leg->srtp;
    enum verdict (*open)(struct opening *, uint8_t *, int *) = is_rtcp ? open_rtcp : open_rtp;
    enum verdict verdict = open(&srtp->in, data, &length);
    if (verdict != ACCEPTED && srtp->before.keys.is_set && now <= srtp->before_until_ns &&
        open(&srtp->before, data, &length) == ACCEPTED)
        verdict = ACCEPTED;
    if (verdict == ACCEPTED)
        return length;
    count_refused(leg, verdict);
    return 0;
}

static uint8_t *put_tag(struct cipher *cipher, uint8_t *out, uint8_t *at, const uint64_t *index, int bytes)
{
    tag_of(cipher, out, (int)(at - out), index, at, bytes);
    return at + bytes;
}

/*
 * Writes an RTP packet of ours to out, SRTP_EXTRA bytes longer at most; its length, or 0 if it may not be sent: no index
 * is used twice under a key, whatever the packet that it would have gone to.
 */
int srtp_protect(struct leg *leg, const uint8_t *data, int length, uint8_t *out)
{
    struct keys *keys = &leg->srtp->out.keys;
    struct source *sent = &leg->srtp->out.sent;
    int64_t guess = index_of(sent, (uint16_t)(data[2] << 8 | data[3]));
    if (!keys->is_set || !is_fresh(sent, guess))
        return 0;
    uint64_t index = (uint64_t)guess;
    note_index(sent, index);
    memcpy(out, data, RTP_HEADER);
    crypt(&keys->rtp, leg->out.ssrc, index, data + RTP_HEADER, out + RTP_HEADER, length - RTP_HEADER);
    return (int)(put_tag(&keys->rtp, out, out + length, &index, keys->tag_bytes) - out);
}

/* The same for RTCP. */
int srtp_protect_rtcp(struct leg *leg, const uint8_t *data, int length, uint8_t *out)
{
    struct sealing *sealing = &leg->srtp->out;
    struct cipher *cipher = &sealing->keys.rtcp;
    if (!sealing->keys.is_set || sealing->control_index & RTCP_ENCRYPTED)
        return 0;
    memcpy(out, data, RTCP_CLEAR);
    crypt(cipher, leg->out.ssrc, sealing->control_index, data + RTCP_CLEAR, out + RTCP_CLEAR, length - RTCP_CLEAR);
    put_u32(out + length, sealing->control_index++ | RTCP_ENCRYPTED);
    return (int)(put_tag(cipher, out, out + length + RTCP_INDEX_BYTES, NULL, RTCP_TAG_BYTES) - out);
}
