/*
 * SRTP and SRTCP of a leg (RFC 3711; AES-256 of RFC 6188; keys by RFC 4568), over Nettle's AES and HMAC (ADR 14).
 *
 * Nothing is allocated for a packet. Keys and what is derived from them lie in one block of locked memory per leg, and
 * are wiped with it; a master key is used once, to derive, and kept nowhere.
 */
#include <errno.h>
#include <nettle/aes.h>
#include <nettle/ctr.h>
#include <nettle/hmac.h>
#include <nettle/memops.h>
#include <string.h>

#include "state.h"

#define SALT_BYTES 14
#define AUTH_KEY_BYTES 20
#define RTCP_TAG_BYTES 10
#define MAX_MKI_BYTES 128
#define RTCP_CLEAR 8         /* header and SSRC of the first packet of a compound */
#define RTCP_INDEX_BYTES 4
#define RTCP_ENCRYPTED 0x80000000u
#define WINDOW 128           /* packets that may come late; RFC 3711 section 3.3.2 asks for 64 */
#define WINDOW_WORDS 4       /* of the ring of bits, which must hold more than the window */
#define RTCP_WINDOW 64
#define SOURCES 32           /* SSRCs under one key; only who has the key can use them up, and then no more are taken */
#define LATE_START 4096      /* a stream first heard below this number may have gone round once already: 82 s of 20 ms */
#define BEFORE_NS (5000 * NS_PER_MS) /* how long packets under the former key may still come */
#define ALARM_AT 25          /* packets under a wrong key that are no accident: half a second of speech */

enum label { RTP_CIPHER, RTP_AUTH, RTP_SALT, RTCP_CIPHER, RTCP_AUTH, RTCP_SALT }; /* RFC 3711 section 4.3.2 */

/* What has come of one SSRC: the newest packet index, and which of those before it have been seen. */
struct source {
    uint32_t ssrc, control_newest;
    uint8_t has_rtp, has_control;
    uint64_t newest, seen[WINDOW_WORDS], control_seen;
};

struct cipher {
    union {
        struct aes128_ctx of_128;
        struct aes256_ctx of_256;
    } aes;
    nettle_cipher_func *encrypt;
    uint8_t salt[SALT_BYTES];
    struct hmac_sha1_ctx auth;
};

/* What is derived from one key. */
struct keys {
    int is_set, tag_bytes;
    struct cipher rtp, rtcp;
};

/* The peer's key, or the one that it had before. */
struct opening {
    struct keys keys;
    int mki_bytes, source_count;
    struct source sources[SOURCES];
    uint8_t mki[MAX_MKI_BYTES];
};

/* Ours: a leg sends as one source. */
struct sealing {
    struct keys keys;
    struct source sent;
    uint32_t control_index; /* of the SRTCP packet that goes next */
};

/* What every packet needs comes first, in one page. */
struct srtp {
    struct sealing out;
    struct opening in, before;
    int64_t before_until_ns, failed; /* failed: under the key that is in force */
    uint8_t has_alarmed;
};

enum verdict { ACCEPTED, UNAUTHENTIC, REPLAYED };

static uint32_t get_u32(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static void put_u32(uint8_t *at, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        at[i] = (uint8_t)(value >> (24 - 8 * i));
}

/* --- keys */

static void set_cipher(struct cipher *cipher, const uint8_t *key, int key_bytes)
{
    if (key_bytes == AES256_KEY_SIZE)
        aes256_set_encrypt_key(&cipher->aes.of_256, key);
    else
        aes128_set_encrypt_key(&cipher->aes.of_128, key);
    cipher->encrypt = key_bytes == AES256_KEY_SIZE ? (nettle_cipher_func *)aes256_encrypt : (nettle_cipher_func *)aes128_encrypt;
}

/* RFC 3711 section 4.3.1 with a derivation rate of 0, and 4.3.3. */
static void derive(const struct cipher *master, const uint8_t *salt, enum label label, uint8_t *out, size_t length)
{
    uint8_t counter[AES_BLOCK_SIZE] = {0};
    memcpy(counter, salt, SALT_BYTES);
    counter[7] ^= (uint8_t)label;
    memset(out, 0, length);
    ctr_crypt(&master->aes, master->encrypt, AES_BLOCK_SIZE, counter, length, out, out);
    explicit_bzero(counter, sizeof counter);
}

static void derive_cipher(const struct cipher *master, const uint8_t *salt, int key_bytes, enum label first, struct cipher *out)
{
    uint8_t key[AES256_KEY_SIZE];
    derive(master, salt, first, key, (size_t)key_bytes);
    set_cipher(out, key, key_bytes);
    derive(master, salt, first + RTP_AUTH, key, AUTH_KEY_BYTES);
    hmac_sha1_set_key(&out->auth, AUTH_KEY_BYTES, key);
    derive(master, salt, first + RTP_SALT, out->salt, SALT_BYTES);
    explicit_bzero(key, sizeof key);
}

static void derive_keys(int suite, const uint8_t *key, int key_bytes, struct keys *out)
{
    struct cipher master;
    set_cipher(&master, key, key_bytes);
    derive_cipher(&master, key + key_bytes, key_bytes, RTP_CIPHER, &out->rtp);
    derive_cipher(&master, key + key_bytes, key_bytes, RTCP_CIPHER, &out->rtcp);
    out->tag_bytes = suite & SRTP_SHORT_TAG ? 4 : 10;
    out->is_set = 1;
    explicit_bzero(&master, sizeof master);
}

/* Packets of the peer's are counted anew; its former key goes on for a while. */
static void set_in(struct srtp *srtp, int64_t now, int suite, const uint8_t *key, int key_bytes, const uint8_t *mki,
                   size_t mki_bytes)
{
    if (srtp->in.keys.is_set) {
        memcpy(&srtp->before, &srtp->in, sizeof srtp->in);
        srtp->before_until_ns = now + BEFORE_NS;
    }
    explicit_bzero(&srtp->in, sizeof srtp->in);
    derive_keys(suite, key, key_bytes, &srtp->in.keys);
    srtp->in.mki_bytes = (int)mki_bytes;
    if (mki_bytes)
        memcpy(srtp->in.mki, mki, mki_bytes);
    srtp->failed = srtp->has_alarmed = 0;
}

static void set_out(struct srtp *srtp, int suite, const uint8_t *key, int key_bytes)
{
    explicit_bzero(&srtp->out, sizeof srtp->out);
    derive_keys(suite, key, key_bytes, &srtp->out.keys);
}

/* Where memory may not be locked a conversation goes on all the same, with its keys in ordinary memory. */
static struct srtp *srtp_new(int lock)
{
    struct srtp *srtp = memory_locked(sizeof *srtp, lock);
    return srtp || !lock ? srtp : memory_locked(sizeof *srtp, 0);
}

int core_srtp_key(struct core *core, int64_t id, int is_send, int suite, const uint8_t *key, size_t length,
                  const uint8_t *mki, size_t mki_length)
{
    int key_bytes = suite & SRTP_AES_256 ? AES256_KEY_SIZE : AES128_KEY_SIZE;
    if (suite < 0 || suite > (SRTP_AES_256 | SRTP_SHORT_TAG) || length != (size_t)key_bytes + SALT_BYTES ||
        mki_length > (is_send ? 0 : MAX_MKI_BYTES))
        return -EINVAL;
    int error;
    struct leg *leg = leg_lock(core, id, &error);
    if (!leg)
        return error;
    if (!leg->srtp)
        leg->srtp = srtp_new(core->lock_memory);
    error = leg->srtp ? 0 : -ENOMEM;
    if (!error && is_send)
        set_out(leg->srtp, suite, key, key_bytes);
    else if (!error)
        set_in(leg->srtp, core_now(core), suite, key, key_bytes, mki, mki_length);
    thread_unlock(leg->thread);
    return error;
}

int core_srtp_off(struct core *core, int64_t id)
{
    int error;
    struct leg *leg = leg_lock(core, id, &error);
    if (!leg)
        return error;
    srtp_free(leg);
    thread_unlock(leg->thread);
    return 0;
}

void srtp_free(struct leg *leg)
{
    if (leg->srtp)
        memory_free(leg->srtp, sizeof *leg->srtp);
    leg->srtp = NULL;
}

void srtp_house(struct leg *leg, int64_t now)
{
    if (leg->srtp && leg->srtp->before.keys.is_set && now > leg->srtp->before_until_ns)
        explicit_bzero(&leg->srtp->before, sizeof leg->srtp->before);
}

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
    report(leg->thread->core, EVENT_UNAUTHENTIC, leg->id, srtp->failed, 0, 0);
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
