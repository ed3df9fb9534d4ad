/*
 * The lower sub-band of ITU-T G.722 at 64 kbit/s, decoded to 8000 Hz: block numbers are those of its figures. The upper
 * band begins at 4 kHz, every tone of a digit or a fax lies below: half the work gives all that the detector wants.
 */
#include <string.h>

#include "codecs.h"

/* Multiplier adaptation of the logarithmic scale factor (table 13), by the code's four high bits through RL42. */
static const int WL[8] = {-60, -30, 58, 172, 334, 538, 1198, 3042};
static const int RL42[16] = {0, 7, 6, 5, 4, 3, 2, 1, 7, 6, 5, 4, 3, 2, 1, 0};
static const int ILB[32] = {2048, 2093, 2139, 2186, 2233, 2282, 2332, 2383, 2435, 2489, 2543, 2599, 2656, 2714, 2774, 2834,
                            2896, 2960, 3025, 3091, 3158, 3228, 3298, 3371, 3444, 3520, 3597, 3676, 3756, 3838, 3922, 4008};
/* Inverse quantisers of the four high bits (the predictor's) and of all six (the output's). */
static const int QM4[16] = {0,     -20456, -12896, -8968, -6288, -4240, -2584, -1200,
                            20456, 12896,  8968,   6288,  4240,  2584,  1200,  0};
static const int QM6[64] = {-136,   -136,   -136,   -136,   -24808, -21904, -19008, -16704, -14984, -13512, -12280,
                            -11192, -10232, -9360,  -8576,  -7856,  -7192,  -6576,  -6000,  -5456,  -4944,  -4464,
                            -4008,  -3576,  -3168,  -2776,  -2400,  -2032,  -1688,  -1360,  -1040,  -728,   24808,
                            21904,  19008,  16704,  14984,  13512,  12280,  11192,  10232,  9360,   8576,   7856,
                            7192,   6576,   6000,   5456,   4944,   4464,   4008,   3576,   3168,   2776,   2400,
                            2032,   1688,   1360,   1040,   728,    432,    136,    -432,   -136};

static int limited(int value, int low, int high)
{
    return value < low ? low : value > high ? high : value;
}

static int saturated(int value)
{
    return limited(value, -32768, 32767);
}

/* Blocks 3L: the step size, from the logarithm of the scale factor. */
static void adapt_step(struct g722 *state, int code)
{
    state->log_scale = limited((state->log_scale * 127 >> 7) + WL[RL42[code]], 0, 18432);
    int shift = 8 - (state->log_scale >> 11), base = ILB[state->log_scale >> 6 & 31];
    state->step = (shift < 0 ? base << -shift : base >> shift) << 2;
}

/* Block 4L: two poles and six zeros, adapted by signs; d is the quantised difference. */
static void adapt_predictor(struct g722 *state, int d)
{
    int partial = saturated(state->zeros_estimate + d), restored = saturated(state->estimate + d);
    int32_t *a = state->poles, *b = state->zeros;
    int is_same = (partial ^ state->partial[0]) >= 0, is_same_before = (partial ^ state->partial[1]) >= 0;

    int lean = limited(a[0] * 4, -32768, 32767);
    int second = ((is_same ? -lean : lean) > 32767 ? 32767 : is_same ? -lean : lean) >> 7;
    second += is_same_before ? 128 : -128;
    second = limited(second + (a[1] * 32512 >> 15), -12288, 12288);
    int bound = saturated(15360 - second);
    int first = limited(saturated((is_same ? 192 : -192) + (a[0] * 32640 >> 15)), -bound, bound);
    a[0] = first;
    a[1] = second;

    for (int i = 0; i < 6; i++) {
        int step = d == 0 ? 0 : (d ^ state->differences[i]) >= 0 ? 128 : -128;
        b[i] = saturated(step + (b[i] * 32640 >> 15));
    }
    memmove(state->differences + 1, state->differences, 5 * sizeof *state->differences);
    state->differences[0] = d;
    state->partial[1] = state->partial[0];
    state->partial[0] = partial;
    int poles = saturated((a[0] * saturated(2 * restored) >> 15) + (a[1] * saturated(2 * state->restored) >> 15));
    state->restored = restored;
    int zeros = 0;
    for (int i = 0; i < 6; i++)
        zeros += b[i] * saturated(2 * state->differences[i]) >> 15;
    state->zeros_estimate = saturated(zeros);
    state->estimate = saturated(poles + state->zeros_estimate);
}

void g722_init(struct g722 *state)
{
    explicit_bzero(state, sizeof *state);
    state->step = 32;
}

void g722_decode_low(struct g722 *state, const uint8_t *data, int length, int16_t *out)
{
    for (int i = 0; i < length; i++) {
        int code = data[i] & 63;
        int low = limited(state->estimate + (state->step * QM6[code] >> 15), -16384, 16383);
        out[i] = (int16_t)(low * 2); /* 14 bits to 16, the upper band taken as nothing */
        int d = state->step * QM4[code >> 2] >> 15;
        adapt_step(state, code >> 2);
        adapt_predictor(state, d);
    }
}
