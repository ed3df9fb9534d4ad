/* Codecs as the core needs them: G.711 both ways, of G.722 the lower sub-band. */
#ifndef AUDIO_CORE_CODECS_H
#define AUDIO_CORE_CODECS_H

#include <stdint.h>

/* g711.c */
extern int16_t g711_linear[2][256]; /* [codec is PCMA][byte] */
extern uint8_t g711_other[2][256];  /* to the other law */

/* The lower sub-band decoder of G.722: scale factor, predictor and its memory. */
struct g722 {
    int32_t estimate, zeros_estimate, restored, log_scale, step;
    int32_t partial[2], poles[2], zeros[6], differences[6];
};

/* g722.c */
void g722_init(struct g722 *state);
void g722_decode_low(struct g722 *state, const uint8_t *data, int length, int16_t *out); /* 8000 Hz, 16 bits */

#endif
