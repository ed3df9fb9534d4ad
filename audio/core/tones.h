/*
 * Tone detector: DTMF (ITU-T Q.23/Q.24), fax calling CNG 1100 Hz and answering CED 2100 Hz (ITU-T T.30); and voices.
 *
 * The powers that Goertzel's filters give, over blocks of TONES_BLOCK samples at 8000 Hz, worked out as integer
 * correlations with tables because those run in vectors. No allocation, no global state, no locks: one
 * struct per leg, owned by the thread that feeds it. Samples may come in pieces of any length; the pieces do not
 * change the answer. benchmarks/tone_reference.py is the same algorithm in numpy; tests compare the two. Figures:
 * docs/tones.md.
 */
#ifndef AUDIO_CORE_TONES_H
#define AUDIO_CORE_TONES_H

#include <stddef.h>
#include <stdint.h>

/* Samples of one analysis block, 12.75 ms; blocks do not overlap. */
#define TONES_BLOCK 102
#define TONES_ROOM 104

enum tones_kind {
    TONES_DIGIT_START = 1, /* a digit has been seen often and steadily enough to be believed */
    TONES_DIGIT_END = 2,   /* that digit is over */
    TONES_CNG = 3,         /* fax calling tone, at the end of a burst of about 0.5 s */
    TONES_CED = 4,         /* fax or modem answering tone, once, when it has lasted 2 s */
    TONES_VOICE = 5        /* somebody speaks: after each 0.3 s of sound whose level moves as that of speech does */
};

/*
 * What was heard. Positions are samples since tones_init, of the samples that were fed.
 * from: the first trace: the start of the first block in which the tone was seen, minus one block, at least 0.
 * to:   the end of the last block in which it was seen (for TONES_DIGIT_END one block more, for its last trace).
 */
struct tones_event {
    int kind;   /* enum tones_kind */
    char digit; /* '0'-'9', '*', '#', 'A'-'D'; 0 for fax tones and voices */
    int64_t from;
    int64_t to;
    int64_t pause; /* of CNG: samples since its tone was last there before this burst; -1: it was not, or another kind */
};

/* What a block showed of the two tones of its digit: row, then column. */
struct tones_view {
    int32_t real[2], imaginary[2]; /* correlations with the tone, as counted from the start of the block */
    int64_t power[2];
    int64_t energy;                /* of the whole block */
    int8_t tone[2];                /* index of each */
    uint8_t is_sharp;              /* both stood out clearly */
};

/* Opaque to callers, but of known size so that it can be embedded in a leg. */
struct tones {
    int16_t block[TONES_ROOM]; /* the block being filled, and zeros to a whole number of vectors */
    struct tones_view view;    /* the last block, while candidate is set */
    int64_t position;          /* samples fed so far */
    int64_t candidate_from;    /* first trace of the candidate */
    int64_t digit_from;        /* first trace of the digit that is on */
    int64_t digit_to;          /* end of the last block in which it was seen */
    int64_t seen_to;           /* end of the last block in which any digit was seen, 0 if none */
    int64_t fax_from[2];       /* first trace of CNG and CED */
    int64_t fax_to[2];         /* end of the last block in which each was seen */
    int32_t fax_hits[2];       /* blocks of the burst so far */
    int32_t fax_misses[2];     /* consecutive blocks without it */
    int64_t trace_to;          /* end of the last block in which CNG's tone was there, burst or not; 0: never */
    int64_t cng_pause;         /* of the burst that is on, as in struct tones_event */
    int32_t trace_blocks;      /* blocks in a row in which it is */
    int32_t voice_level;       /* of the last block beside fax tones, in eighths of 3 dB; 0 if it was silent */
    int32_t voice_swing;       /* by how much that level has moved from block to block */
    int32_t voice_blocks;      /* over so many blocks */
    int32_t fill;              /* samples in block */
    int32_t evidence;          /* points of the candidate's steady blocks so far */
    int32_t misses;            /* consecutive blocks without the digit that is on */
    char candidate;            /* digit of the last block, 0 if none */
    char digit;                /* digit that is on, 0 if none */
};

void tones_init(struct tones *state);

/*
 * Feeds n samples (16-bit linear, 8000 Hz) and writes at most max events to out, in order.
 * Returns the number written. With max >= 4 + n / TONES_BLOCK no event can be lost; those beyond max are dropped.
 * A start is always followed by its end. out may be NULL when max is 0.
 */
int tones_feed(struct tones *state, const int16_t *samples, size_t n, struct tones_event *out, int max);

/*
 * Passes over n samples that are known to be silence, or that never arrived, in constant time: same answer as
 * feeding as many zeros. Keeps positions on the time line where packets were lost.
 */
int tones_skip(struct tones *state, int64_t n, struct tones_event *out, int max);

#endif
