/* What a leg keeps under SRTP (RFC 3711): set up in srtp_keys.c, used for each packet in srtp.c. */
#ifndef AUDIO_CORE_SRTP_H
#define AUDIO_CORE_SRTP_H

#include <nettle/aes.h>
#include <nettle/hmac.h>
#include <stdint.h>

#define SALT_BYTES 14
#define MAX_MKI_BYTES 128
#define WINDOW_WORDS 4       /* of the ring of bits, which must hold more than the window */
#define SOURCES 32           /* SSRCs under one key; only who has the key can use them up, and then no more are taken */

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

#endif
