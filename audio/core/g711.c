/* ITU-T G.711: linear values of both laws and the nearest code of the other law (ties to the larger magnitude). */
#include <stdlib.h>

#include "codecs.h"
#include "core.h"

int16_t g711_linear[2][256];
uint8_t g711_other[2][256];

static int alaw_value(int byte)
{
    int code = byte ^ 0x55, exponent = (code >> 4) & 7, mantissa = code & 15;
    int magnitude = 8 * (exponent == 0 ? 2 * mantissa + 1 : (2 * mantissa + 33) << (exponent - 1));
    return code & 0x80 ? magnitude : -magnitude;
}

static int mulaw_value(int byte)
{
    int code = ~byte & 0xFF, exponent = (code >> 4) & 7, mantissa = code & 15;
    int magnitude = ((mantissa * 8 + 132) << exponent) - 132;
    return code & 0x80 ? -magnitude : magnitude;
}

static uint8_t nearest(int law, int value)
{
    int best = -1, distance = 0;
    for (int byte = 255; byte >= 0; byte--) { /* downwards: of mu-law's two zeros 0xFF, which is also its silence */
        int candidate = g711_linear[law][byte];
        int far = abs(candidate - value);
        int is_tie_outward = far == distance && (value >= 0 ? candidate > g711_linear[law][best] : candidate < g711_linear[law][best]);
        if (best < 0 || far < distance || is_tie_outward) {
            best = byte;
            distance = far;
        }
    }
    return (uint8_t)best;
}

void g711_init(void)
{
    for (int byte = 0; byte < 256; byte++) {
        g711_linear[0][byte] = (int16_t)mulaw_value(byte);
        g711_linear[1][byte] = (int16_t)alaw_value(byte);
    }
    for (int law = 0; law < 2; law++)
        for (int byte = 0; byte < 256; byte++)
            g711_other[law][byte] = nearest(!law, g711_linear[law][byte]);
}
