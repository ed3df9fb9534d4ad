/*
 * The keys of a leg (RFC 3711 section 4.3; AES-256 of RFC 6188; master keys by RFC 4568), over Nettle's AES (ADR 14).
 *
 * Keys and what is derived from them lie in one block of locked memory per leg, and are wiped with it; a master key is
 * used once, to derive, and kept nowhere.
 */
#include <errno.h>
#include <nettle/ctr.h>
#include <string.h>

#include "leg.h"
#include "memory.h"
#include "srtp.h"
#include "thread.h"

#define AUTH_KEY_BYTES 20
#define BEFORE_NS (5000 * NS_PER_MS) /* how long packets under the former key may still come */

enum label { RTP_CIPHER, RTP_AUTH, RTP_SALT, RTCP_CIPHER, RTCP_AUTH, RTCP_SALT }; /* RFC 3711 section 4.3.2 */

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
