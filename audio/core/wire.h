/* Numbers as they stand in packets: the most significant byte first. */
#ifndef AUDIO_CORE_WIRE_H
#define AUDIO_CORE_WIRE_H

#include <stdint.h>

static inline uint32_t get_u32(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* Returns where the next number goes. */
static inline uint8_t *put_u32(uint8_t *at, uint32_t value)
{
    at[0] = (uint8_t)(value >> 24);
    at[1] = (uint8_t)(value >> 16);
    at[2] = (uint8_t)(value >> 8);
    at[3] = (uint8_t)value;
    return at + 4;
}

#endif
