/* The ring of one channel: a byte a tick, first write wins (docs/media-core.md, Ring). Positions, never indices, come in. */
#include <string.h>

#include "state.h"

static int code_of(int codec)
{
    return codec == CODEC_PCMU ? 1 : codec == CODEC_PCMA ? 2 : 3;
}

static int codec_of(int code)
{
    return code == 1 ? CODEC_PCMU : code == 2 ? CODEC_PCMA : CODEC_G722;
}

size_t ring_bytes(int64_t ticks)
{
    return (size_t)(ticks + ticks / 4);
}

void ring_place(struct ring *ring, void *memory, int64_t ticks)
{
    ring->bytes = memory;
    ring->low = (uint64_t *)(ring->bytes + ticks);
    ring->high = ring->low + ticks / 64;
    ring->ticks = ticks;
}

/* The part of [position, end) that lies in one word of the bit planes. */
struct chunk {
    int64_t word, length, index;
    uint64_t mask;
};

static struct chunk chunk_at(const struct ring *ring, int64_t position, int64_t end)
{
    struct chunk chunk;
    int bit = (int)(position & 63);
    chunk.index = position & (ring->ticks - 1);
    chunk.word = chunk.index / 64;
    chunk.length = end - position < 64 - bit ? end - position : 64 - bit;
    chunk.mask = (chunk.length == 64 ? ~0ULL : (1ULL << chunk.length) - 1) << bit;
    return chunk;
}

void ring_put(struct ring *ring, int64_t position, const uint8_t *data, int64_t length, int codec)
{
    int code = code_of(codec);
    for (int64_t end = position + length; position < end;) {
        struct chunk chunk = chunk_at(ring, position, end);
        uint64_t present = (ring->low[chunk.word] | ring->high[chunk.word]) & chunk.mask;
        if (!present) {
            memcpy(ring->bytes + chunk.index, data, (size_t)chunk.length);
        } else {
            for (int64_t i = 0; i < chunk.length; i++)
                if (!(present >> ((position + i) & 63) & 1))
                    ring->bytes[chunk.index + i] = data[i];
        }
        uint64_t fresh = chunk.mask & ~present;
        ring->low[chunk.word] |= code & 1 ? fresh : 0;
        ring->high[chunk.word] |= code & 2 ? fresh : 0;
        position += chunk.length;
        data += chunk.length;
    }
}

void ring_zero(struct ring *ring, int64_t start, int64_t end)
{
    while (start < end) {
        struct chunk chunk = chunk_at(ring, start, end);
        if ((ring->low[chunk.word] | ring->high[chunk.word]) & chunk.mask) {
            memset(ring->bytes + chunk.index, 0, (size_t)chunk.length);
            ring->low[chunk.word] &= ~chunk.mask;
            ring->high[chunk.word] &= ~chunk.mask;
        }
        start += chunk.length;
    }
}

/* Length of the stretch from position, below limit, that is all absent (*codec = -1) or all of one codec. */
int64_t ring_run(const struct ring *ring, int64_t position, int64_t limit, int *codec)
{
    int64_t word = (position & (ring->ticks - 1)) / 64, start = position;
    int code = (int)(ring->low[word] >> (position & 63) & 1) | (int)(ring->high[word] >> (position & 63) & 1) << 1;
    uint64_t low = code & 1 ? ~0ULL : 0, high = code & 2 ? ~0ULL : 0;
    *codec = code ? codec_of(code) : -1;
    while (position < limit) {
        struct chunk chunk = chunk_at(ring, position, limit);
        uint64_t differs = ((ring->low[chunk.word] ^ low) | (ring->high[chunk.word] ^ high)) & chunk.mask;
        if (differs)
            return position - start + __builtin_ctzll(differs) - (position & 63);
        position += chunk.length;
    }
    return limit - start;
}

void ring_copy(const struct ring *ring, int64_t position, int64_t length, uint8_t *out)
{
    int64_t index = position & (ring->ticks - 1);
    int64_t first = length < ring->ticks - index ? length : ring->ticks - index;
    memcpy(out, ring->bytes + index, (size_t)first);
    memcpy(out + first, ring->bytes, (size_t)(length - first));
}
