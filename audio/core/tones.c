/* The tone detector; what it promises is in tones.h, why it has these thresholds in docs/tones.md. */
#include "tones.h"

#include <stdlib.h>
#include <string.h>

#include "wide.h"

#define RATE 8000
#define COLUMNS 4             /* index of the first: four rows, four columns, CNG, CED */
#define FAX 8
#define TONES 10
#define HARMONICS 8           /* twice each row and column */
#define AMPLITUDE 512         /* of the tables: a full-scale correlation stays below 2^31 */
#define SHIFT 16              /* of the powers, so that their multiples stay below 2^63 */
#define UNIT 204              /* (AMPLITUDE^2 * TONES_BLOCK / 2) >> SHIFT: the power of a lone tone per unit of energy */

#define ENERGY_MIN 1000000    /* of a block, sum of squares: rms 99, about -44 dBm0; below it nothing is looked for */
#define LEVEL_MIN 300000      /* the same for each tone of a digit: amplitude 77, about -49 dBm0 */
#define SHARE_PERCENT 55      /* of the block's energy that the two tones of a digit hold at least */
#define PEAK 4                /* a tone is this many times (6 dB) above the others of its group */
#define TWIST 10              /* and at most this many times (10 dB) above its partner */
#define HARMONIC_PERCENT 20   /* of the two tones' power that their second harmonics hold at most */
#define HARMONIC_CLEAR 150    /* Hz: closer to the column the harmonic of the row cannot be told from the column itself */
#define FAX_PERCENT 60        /* of the block's energy that a fax tone holds at least */

#define SHARP 6               /* the same (7.8 dB) in a block that may begin a digit: half a block of tone is less sharp */
#define TILT 4                /* 6 dB: what is more twisted than that has to be cleaner or longer */
#define STEADY 2              /* a tone's power in two blocks in a row differs by this factor (3 dB) at most */
#define OFFSET_PERMILLE 20    /* by which a frequency may be off: Q.24 wants 1.5 % accepted */
#define APART_PERMILLE 16     /* by which one tone may be more off than the other */
#define TURN_SHIFT 12
#define TURN (1 << TURN_SHIFT)
#define TURN_PER_HZ 52224     /* thousandths of 1/TURN of a turn that a tone of 1 Hz turns in a block */
#define ATAN_BEND 178         /* 0.273 radian: the arc tangent of r is about r * (pi / 4 + 0.273 * (1 - r)) */
#define POINTS_ENOUGH 6       /* to believe a digit: a tone of 40 ms fills two blocks whole wherever it starts */

#define GAP_BLOCKS 2          /* and so does a pause of 40 ms; a drop-out of 10 ms spoils one block or two halves */
#define CNG_BLOCKS_MIN 30     /* 0.38 s: T.30 says 0.5 s +-15 % */
#define CNG_BLOCKS_MAX 48     /* 0.61 s */
#define TRACE_PERCENT 30      /* of a block's energy: a tone that holds so much is there, though it may not be a burst's */
#define TRACE_BLOCKS 4        /* and lasts: 51 ms; what speech or a click shows for less breaks no pause between bursts */
#define CED_BLOCKS 157        /* 2.0 s of the 2.6 s to 4 s that T.30 gives it: a shorter one is nobody's machine */

#define VOICE_SHARE 64        /* beside a fax tone that is so many times stronger (18 dB) nothing else is looked for */
#define VOICE_BLOCKS 24       /* 0.31 s of sound */
#define VOICE_SWING 80        /* 1.25 dB from block to block: a modem moves by 1.1 dB at most, speech by 1.5 to 2.5 dB */
#define VOICE_STEP 16         /* the most that one block counts, 6 dB: where sound begins and ends, a modem leaps too */

static const int FREQUENCIES[TONES] = {697, 770, 852, 941, 1209, 1336, 1477, 1633, 1100, 2100};

/*
 * Points of two steady blocks in a row by the share of their energy that the tones hold: two clean blocks are enough, in
 * noise it takes up to four. Speech stays on two tones for two blocks now and then, hardly ever for four.
 */
static const struct {
    int share_percent, points, points_if_tilted;
} EVIDENCE[] = {{93, 6, 6}, {84, 6, 2}, {77, 3, 1}, {67, 2, 1}};

static const char DIGITS[4][4] = {{'1', '2', '3', 'A'}, {'4', '5', '6', 'B'}, {'7', '8', '9', 'C'}, {'*', '0', '#', 'D'}};

/* Cosine and sine of each tone, then of each harmonic; filled once when the code is loaded and only read after. */
static int16_t tables[TONES + HARMONICS][2][TONES_ROOM] __attribute__((aligned(64)));

/* Cosine and sine of the phase by which each tone of a digit advances in a block. */
static int16_t turns[8][2];

/* Sine of x in [-pi, pi] by its series, so that the core needs no libm; exact to 1e-10, which is plenty here. */
static double sine(double x)
{
    double term = x, sum = x;
    for (int n = 2; n < 26; n += 2) {
        term *= -x * x / (n * (n + 1));
        sum += term;
    }
    return sum;
}

static int16_t table_value(int amplitude, int phase)
{
    double turn = (double)(phase % RATE) / RATE;
    double value = amplitude * sine((turn < 0.5 ? turn : turn - 1.0) * 6.283185307179586);
    return (int16_t)(value < 0 ? value - 0.5 : value + 0.5);
}

__attribute__((constructor)) static void fill_tables(void)
{
    for (int tone = 0; tone < TONES + HARMONICS; tone++) {
        int frequency = tone < TONES ? FREQUENCIES[tone] : 2 * FREQUENCIES[tone - TONES];
        for (int i = 0; i < TONES_BLOCK; i++) {
            tables[tone][0][i] = table_value(AMPLITUDE, frequency * i + RATE / 4);
            tables[tone][1][i] = table_value(AMPLITUDE, frequency * i);
        }
    }
    for (int tone = 0; tone < 8; tone++) {
        turns[tone][0] = table_value(1 << TURN_SHIFT, FREQUENCIES[tone] * TONES_BLOCK + RATE / 4);
        turns[tone][1] = table_value(1 << TURN_SHIFT, FREQUENCIES[tone] * TONES_BLOCK);
    }
}

static inline int32_t correlate(const int16_t *restrict a, const int16_t *restrict b)
{
    int32_t sum = 0;
    for (int i = 0; i < TONES_ROOM; i++)
        sum += (int32_t)a[i] * b[i];
    return sum;
}

static inline int64_t power_from(int64_t real, int64_t imaginary)
{
    return (real * real + imaginary * imaginary) >> SHIFT;
}

static int64_t power_of(const int16_t *block, int tone)
{
    return power_from(correlate(block, tables[tone][0]), correlate(block, tables[tone][1]));
}

/* The ten tones in a block, each once it has been taken. */
struct spectrum {
    int32_t real[TONES], imaginary[TONES];
    int64_t power[TONES];
};

WIDE static void take_tones(const int16_t *block, int first, int end, struct spectrum *spectrum)
{
    for (int tone = first; tone < end; tone++) {
        spectrum->real[tone] = correlate(block, tables[tone][0]);
        spectrum->imaginary[tone] = correlate(block, tables[tone][1]);
        spectrum->power[tone] = power_from(spectrum->real[tone], spectrum->imaginary[tone]);
    }
}

WIDE static int64_t energy_of(const int16_t *block)
{
    int64_t sum = 0;
    for (int i = 0; i < TONES_ROOM; i++)
        sum += (int32_t)block[i] * block[i];
    return sum;
}

/* Index of the tone of a group of four that stands out above the three others by a factor, or -1. Without branches on the
   powers, which in speech and noise go either way. */
static int peak_of(const int64_t *power, int factor)
{
    int best = 0;
    int64_t most = power[0], second = 0;
    for (int i = 1; i < 4; i++) {
        int64_t lesser = power[i] > most ? most : power[i];
        best = power[i] > most ? i : best;
        most = power[i] > most ? power[i] : most;
        second = lesser > second ? lesser : second;
    }
    return second * factor > most ? -1 : best;
}

/* Most blocks have no row that stands out, so that their columns need not be taken. */
static char digit_of(const int16_t *block, int64_t energy, struct spectrum *spectrum, struct tones_view *view)
{
    const int64_t *power = spectrum->power;
    take_tones(block, 0, COLUMNS, spectrum);
    int row = peak_of(power, PEAK);
    if (row < 0 || power[row] < (int64_t)LEVEL_MIN * UNIT)
        return 0;
    take_tones(block, COLUMNS, FAX, spectrum);
    int column = peak_of(power + COLUMNS, PEAK);
    if (column < 0 || power[COLUMNS + column] < (int64_t)LEVEL_MIN * UNIT)
        return 0;
    int64_t low = power[row], high = power[COLUMNS + column];
    if (low > high * TWIST || high > low * TWIST)
        return 0;
    if ((low + high) * 100 < energy * UNIT * SHARE_PERCENT)
        return 0;
    int64_t harmonics = power_of(block, TONES + COLUMNS + column);
    if (abs(2 * FREQUENCIES[row] - FREQUENCIES[COLUMNS + column]) >= HARMONIC_CLEAR)
        harmonics += power_of(block, TONES + row);
    if (harmonics * 100 > (low + high) * HARMONIC_PERCENT)
        return 0;
    *view = (struct tones_view){
        .tone = {(int8_t)row, (int8_t)(COLUMNS + column)},
        .real = {spectrum->real[row], spectrum->real[COLUMNS + column]},
        .imaginary = {spectrum->imaginary[row], spectrum->imaginary[COLUMNS + column]},
        .power = {low, high},
        .energy = energy,
        .is_sharp = peak_of(power, SHARP) >= 0 && peak_of(power + COLUMNS, SHARP) >= 0,
    };
    return DIGITS[row][column];
}

/* Angle of a vector, in 1/TURN of a turn, within [-TURN / 2, TURN / 2]; right to 1/1500 of a turn. */
static int angle_of(int64_t along, int64_t across)
{
    int64_t x = along < 0 ? -along : along, y = across < 0 ? -across : across;
    int64_t large = x > y ? x : y, small = x > y ? y : x;
    if (large == 0)
        return 0;
    int64_t ratio = small * TURN / large;
    int angle = (int)(ratio * (TURN / 8 * TURN + ATAN_BEND * (TURN - ratio)) / ((int64_t)TURN * TURN));
    angle = y > x ? TURN / 4 - angle : angle;
    angle = along < 0 ? TURN / 2 - angle : angle;
    return across < 0 ? -angle : angle;
}

/* How much further a tone has turned from one block to the next than its frequency says, in 1/TURN of a turn. */
static int drift_of(const struct tones_view *before, const struct tones_view *now, int i)
{
    int64_t real = before->real[i] >> SHIFT / 2, imaginary = before->imaginary[i] >> SHIFT / 2;
    int64_t next_real = now->real[i] >> SHIFT / 2, next_imaginary = now->imaginary[i] >> SHIFT / 2;
    int64_t along = next_real * real + next_imaginary * imaginary;
    int64_t across = next_real * imaginary - next_imaginary * real;
    const int16_t *turn = turns[now->tone[i]];
    return angle_of((along * turn[0] + across * turn[1]) >> TURN_SHIFT, (across * turn[0] - along * turn[1]) >> TURN_SHIFT);
}

/* Both frequencies are right, and off by about the same share, as they are when one clock makes them. */
static int is_in_tune(const struct tones_view *now, const int *drift)
{
    int64_t low = FREQUENCIES[now->tone[0]], high = FREQUENCIES[now->tone[1]];
    int64_t apart = drift[0] * high - drift[1] * low;
    return abs(drift[0]) * 1000 <= low * TURN_PER_HZ * OFFSET_PERMILLE / 1000 &&
           abs(drift[1]) * 1000 <= high * TURN_PER_HZ * OFFSET_PERMILLE / 1000 &&
           (apart < 0 ? -apart : apart) * 1000 <= low * high * TURN_PER_HZ * APART_PERMILLE / 1000;
}

/* Share in percent of a block's energy that its tones hold; what a frequency off the exact one hides is added. */
static int share_of(const struct tones_view *view, const int *drift)
{
    int64_t held = 0;
    for (int i = 0; i < 2; i++)
        held += view->power[i] + (view->power[i] >> TURN_SHIFT) * (4 * drift[i] * drift[i] >> TURN_SHIFT);
    return (int)(held * 100 / (view->energy * UNIT));
}

static int is_tilted(const struct tones_view *view)
{
    return view->power[0] > view->power[1] * TILT || view->power[1] > view->power[0] * TILT;
}

/* Points for the same digit in two blocks in a row; 0 if it did not hold still. */
static int points_of(const struct tones_view *before, const struct tones_view *now)
{
    int drift[2];
    if (!before->is_sharp || !now->is_sharp)
        return 0;
    for (int i = 0; i < 2; i++) {
        if (now->power[i] > before->power[i] * STEADY || before->power[i] > now->power[i] * STEADY)
            return 0;
        drift[i] = drift_of(before, now, i);
    }
    if (!is_in_tune(now, drift))
        return 0;
    int share = share_of(before, drift), other = share_of(now, drift);
    share = other < share ? other : share;
    for (size_t i = 0; i < sizeof EVIDENCE / sizeof *EVIDENCE; i++)
        if (share >= EVIDENCE[i].share_percent)
            return is_tilted(before) || is_tilted(now) ? EVIDENCE[i].points_if_tilted : EVIDENCE[i].points;
    return 0;
}

struct sink {
    struct tones_event *out;
    int max, count;
};

static void report(struct sink *sink, int kind, char digit, int64_t from, int64_t to)
{
    if (sink->count < sink->max)
        sink->out[sink->count++] = (struct tones_event){.kind = kind, .digit = digit, .from = from, .to = to, .pause = -1};
}

static int64_t trace_of(int64_t start)
{
    return start > TONES_BLOCK ? start - TONES_BLOCK : 0;
}

/* Gathers what speaks for the digit that the last blocks showed; view is that of this block if it shows one. */
static void gather_evidence(struct tones *state, char seen, const struct tones_view *view, int64_t start)
{
    if (seen != state->candidate) {
        state->candidate = seen;
        state->evidence = 0;
        state->candidate_from = trace_of(start);
    } else if (seen) {
        int points = points_of(&state->view, view);
        int so_far = state->evidence < POINTS_ENOUGH ? state->evidence : POINTS_ENOUGH;
        state->evidence = points ? so_far + points : 0;
    }
    if (seen)
        state->view = *view;
}

static void follow_digit(struct tones *state, char seen, int64_t end, struct sink *sink)
{
    int is_new = seen && seen != state->digit && state->evidence >= POINTS_ENOUGH;
    if (seen && seen == state->digit) {
        state->misses = 0;
        state->digit_to = end;
    } else if (state->digit && (++state->misses >= GAP_BLOCKS || is_new)) {
        report(sink, TONES_DIGIT_END, state->digit, state->digit_from, state->digit_to + TONES_BLOCK);
        state->digit = 0;
    }
    if (is_new) {
        state->digit = seen;
        state->misses = 0;
        state->digit_from = state->candidate_from;
        state->digit_to = end;
        report(sink, TONES_DIGIT_START, seen, state->digit_from, end);
    }
}

static void report_cng(const struct tones *state, struct sink *sink)
{
    if (sink->count < sink->max)
        sink->out[sink->count++] = (struct tones_event){
            .kind = TONES_CNG, .from = state->fax_from[0], .to = state->fax_to[0], .pause = state->cng_pause};
}

/* One block without the tone is forgiven: the phase reversals of a modem's answering tone spoil one each. */
static void follow_fax(struct tones *state, int index, int is_seen, int64_t start, int64_t end, struct sink *sink)
{
    if (is_seen) {
        if (state->fax_hits[index]++ == 0)
            state->fax_from[index] = trace_of(start);
        state->fax_misses[index] = 0;
        state->fax_to[index] = end;
        if (index == 1 && state->fax_hits[1] == CED_BLOCKS)
            report(sink, TONES_CED, 0, state->fax_from[1], end);
    } else if (state->fax_hits[index] && ++state->fax_misses[index] > 1) {
        int32_t hits = state->fax_hits[index];
        state->fax_hits[index] = 0;
        if (index == 0 && hits >= CNG_BLOCKS_MIN && hits <= CNG_BLOCKS_MAX)
            report_cng(state, sink);
    }
}

/* Follows the tone of CNG apart from its bursts, to tell how long it was away before each: a steady tone never is. */
static void follow_trace(struct tones *state, int is_there, int64_t end)
{
    if (state->fax_hits[0] == 1 && !state->fax_misses[0])
        state->cng_pause = !state->trace_to                      ? -1
                           : state->fax_from[0] < state->trace_to ? 0
                                                                  : state->fax_from[0] - state->trace_to;
    state->trace_blocks = is_there ? state->trace_blocks + 1 : 0;
    if (state->trace_blocks >= TRACE_BLOCKS)
        state->trace_to = end;
}

/* Energy of a block beside its fax tones, 0 where that is nothing to speak of. */
static int64_t voice_energy(int64_t energy, const struct spectrum *spectrum)
{
    int64_t rest = energy - spectrum->power[FAX] / UNIT - spectrum->power[FAX + 1] / UNIT;
    return rest * VOICE_SHARE >= energy && rest >= ENERGY_MIN ? rest : 0;
}

/* Level of an energy of ENERGY_MIN at least, in steps of about an eighth of 3 dB. */
static int32_t level_of(int64_t energy)
{
    int bits = 64 - __builtin_clzll((uint64_t)energy);
    return (int32_t)(8 * bits + (energy >> (bits - 4) & 7));
}

/* A voice moves up and down all the time; tones, the data of a modem and noise hold their level, but for their edges. */
static void follow_voice(struct tones *state, int64_t energy, int64_t end, struct sink *sink)
{
    int32_t level = energy ? level_of(energy) : 0, before = state->voice_level;
    state->voice_level = level;
    if (!level || !before)
        return;
    int32_t step = abs(level - before);
    state->voice_swing += step < VOICE_STEP ? step : VOICE_STEP;
    if (++state->voice_blocks < VOICE_BLOCKS)
        return;
    if (state->voice_swing >= VOICE_SWING)
        report(sink, TONES_VOICE, 0, end - VOICE_BLOCKS * TONES_BLOCK, end);
    state->voice_swing = state->voice_blocks = 0;
}

static void take_block(struct tones *state, struct sink *sink)
{
    int64_t start = state->position - TONES_BLOCK, end = state->position;
    int64_t energy = energy_of(state->block);
    struct tones_view view;
    char seen = 0;
    int is_fax[2] = {0, 0}, is_trace = 0;
    int64_t voice = 0;

    if (energy >= ENERGY_MIN) {
        struct spectrum spectrum;
        take_tones(state->block, FAX, TONES, &spectrum);
        seen = digit_of(state->block, energy, &spectrum, &view);
        for (int i = 0; i < 2; i++)
            is_fax[i] = spectrum.power[FAX + i] * 100 >= energy * UNIT * FAX_PERCENT;
        is_trace = spectrum.power[FAX] * 100 >= energy * UNIT * TRACE_PERCENT;
        voice = voice_energy(energy, &spectrum);
    }
    if (seen)
        state->seen_to = end;
    gather_evidence(state, seen, &view, start);
    follow_digit(state, seen, end, sink);
    for (int i = 0; i < 2; i++)
        follow_fax(state, i, is_fax[i], start, end, sink);
    follow_trace(state, is_trace, end);
    follow_voice(state, voice, end, sink);
}

void tones_init(struct tones *state)
{
    memset(state, 0, sizeof *state);
}

/* Takes samples, or zeros where samples is NULL, up to the end of the block; returns how many. */
static size_t fill_block(struct tones *state, const int16_t *samples, size_t n, struct sink *sink)
{
    size_t room = (size_t)(TONES_BLOCK - state->fill);
    size_t taken = n < room ? n : room;
    if (samples)
        memcpy(state->block + state->fill, samples, taken * sizeof *samples);
    else
        memset(state->block + state->fill, 0, taken * sizeof *state->block);
    state->fill += (int32_t)taken;
    state->position += (int64_t)taken;
    if (state->fill == TONES_BLOCK) {
        state->fill = 0;
        take_block(state, sink);
    }
    return taken;
}

int tones_feed(struct tones *state, const int16_t *samples, size_t n, struct tones_event *out, int max)
{
    struct sink sink = {out, max, 0};
    while (n > 0) {
        size_t taken = fill_block(state, samples, n, &sink);
        samples += taken;
        n -= taken;
    }
    return sink.count;
}

static int is_idle(const struct tones *state)
{
    return !state->fill && !state->candidate && !state->digit && !state->fax_hits[0] && !state->fax_hits[1] &&
           !state->trace_blocks && !state->voice_level;
}

int tones_skip(struct tones *state, int64_t n, struct tones_event *out, int max)
{
    struct sink sink = {out, max, 0};
    while (n > 0) {
        if (is_idle(state) && n >= TONES_BLOCK) {
            state->position += n - n % TONES_BLOCK;
            n %= TONES_BLOCK;
        } else {
            n -= (int64_t)fill_block(state, NULL, (size_t)n, &sink);
        }
    }
    return sink.count;
}
