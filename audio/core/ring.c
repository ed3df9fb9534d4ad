/* The ring of one channel: a byte a tick, first write wins (docs/media-core.md, Ring). Positions, never indices, come in. */
#include <string.h>

#include "tap.h"

static int code_of(int codec)
{
    return codec == CODEC_PCMU ? 1 : codec == CODEC_PCMA ? 2 : 3;
}

static int codec_of(int code)
{
    return code == 1 ? CODEC_PCMU : code == 2 ? CODEC_PCMA : CODEC_G722;
}

/* Bytes of one bit plane; there are three, which hold no audio. */
size_t ring_plane_bytes(int64_t ticks)
{
    return (size_t)(ticks / 8);
}

/* codes: two planes, which are hardly ever touched. */
void ring_place(struct ring *ring, uint8_t *bytes, uint8_t *present, uint8_t *codes, int64_t ticks)
{
    ring->bytes = bytes;
    ring->present = (uint64_t *)present;
    ring->low = (uint64_t *)codes;
    ring->high = ring->low + ticks / 64;
    ring->ticks = ticks;
    ring->base = ring->is_mixed = 0;
}

/* The part of a stretch that lies in one word of the bit planes. */
struct chunk {
    int64_t word, length, index;
    uint64_t mask;
};

/* The first chunk of `left` bytes from an index on: a ring is a whole number of words long. */
static struct chunk chunk_at(int64_t index, int64_t left)
{
    struct chunk chunk;
    int bit = (int)(index & 63);
    chunk.index = index;
    chunk.word = index / 64;
    chunk.length = left < 64 - bit ? left : 64 - bit;
    chunk.mask = (chunk.length == 64 ? ~0ULL : (1ULL << chunk.length) - 1) << bit;
    return chunk;
}

/* The index after a chunk; a division for each would cost more than all the rest. */
static int64_t index_after(const struct ring *ring, const struct chunk *chunk)
{
    int64_t index = chunk->index + chunk->length;
    return index == ring->ticks ? 0 : index;
}

/* Notes that fresh bytes are not of the ring's first codec. */
static void mark_other(struct ring *ring, int64_t word, uint64_t fresh, int difference)
{
    ring->is_mixed = 1;
    ring->low[word] |= difference & 1 ? fresh : 0;
    ring->high[word] |= difference & 2 ? fresh : 0;
}

/* Tells whether a byte of it was not there yet. */
int ring_put(struct ring *ring, int64_t position, const uint8_t *data, int64_t length, int codec)
{
    int code = code_of(codec), is_fresh = 0;
    if (!ring->base)
        ring->base = (uint8_t)code;
    for (int64_t index = position % ring->ticks; length > 0;) {
        struct chunk chunk = chunk_at(index, length);
        uint64_t present = ring->present[chunk.word] & chunk.mask;
        if (!present) {
            memcpy(ring->bytes + chunk.index, data, (size_t)chunk.length);
        } else {
            for (int64_t i = 0; i < chunk.length; i++)
                if (!(present >> ((chunk.index + i) & 63) & 1))
                    ring->bytes[chunk.index + i] = data[i];
        }
        ring->present[chunk.word] |= chunk.mask;
        is_fresh |= present != chunk.mask;
        if (code != ring->base)
            mark_other(ring, chunk.word, chunk.mask & ~present, code ^ ring->base);
        index = index_after(ring, &chunk);
        data += chunk.length;
        length -= chunk.length;
    }
    return is_fresh;
}

/* Fetches the lines into which the next packet's audio will go, most likely. */
void ring_fetch(const struct ring *ring, int64_t position)
{
    if (position < 0 || !ring->ticks)
        return;
    int64_t index = position % ring->ticks;
    for (int64_t at = index; at < index + FRAME_TICKS + CACHE_LINE && at < ring->ticks; at += CACHE_LINE)
        __builtin_prefetch(ring->bytes + at, 1);
    __builtin_prefetch(ring->present + index / 64, 1);
}

void ring_zero(struct ring *ring, int64_t start, int64_t end)
{
    for (int64_t index = start % ring->ticks; start < end;) {
        struct chunk chunk = chunk_at(index, end - start);
        if (ring->present[chunk.word] & chunk.mask) {
            memset(ring->bytes + chunk.index, 0, (size_t)chunk.length);
            ring->present[chunk.word] &= ~chunk.mask;
            if (ring->is_mixed) {
                ring->low[chunk.word] &= ~chunk.mask;
                ring->high[chunk.word] &= ~chunk.mask;
            }
        }
        index = index_after(ring, &chunk);
        start += chunk.length;
    }
}

/* Length of the stretch from position, below limit, that is all absent (*codec = -1) or all of one codec. */
int64_t ring_run(const struct ring *ring, int64_t position, int64_t limit, int *codec)
{
    int64_t index = position % ring->ticks, word = index / 64, start = position;
    int bit = (int)(index & 63), is_present = ring->present[word] >> bit & 1, other = 0;
    if (is_present && ring->is_mixed)
        other = (int)(ring->low[word] >> bit & 1) | (int)(ring->high[word] >> bit & 1) << 1;
    uint64_t present = is_present ? ~0ULL : 0, low = other & 1 ? ~0ULL : 0, high = other & 2 ? ~0ULL : 0;
    *codec = is_present ? codec_of(ring->base ^ other) : -1;
    while (position < limit) {
        struct chunk chunk = chunk_at(index, limit - position);
        uint64_t differs = ring->present[chunk.word] ^ present;
        if (ring->is_mixed)
            differs |= (ring->low[chunk.word] ^ low) | (ring->high[chunk.word] ^ high);
        if (differs & chunk.mask)
            return position - start + __builtin_ctzll(differs & chunk.mask) - (index & 63);
        index = index_after(ring, &chunk);
        position += chunk.length;
    }
    return limit - start;
}

void ring_copy(const struct ring *ring, int64_t position, int64_t length, uint8_t *out)
{
    int64_t index = position % ring->ticks;
    int64_t first = length < ring->ticks - index ? length : ring->ticks - index;
    memcpy(out, ring->bytes + index, (size_t)first);
    memcpy(out + first, ring->bytes, (size_t)(length - first));
}

/* Puts what another ring holds from an edge on into an empty one of another length. */
void ring_move(struct ring *to, const struct ring *from, int64_t edge)
{
    int64_t end = edge + from->ticks;
    for (int64_t at = edge; at < end;) {
        int codec;
        int64_t index = at % from->ticks, limit = at + from->ticks - index;
        int64_t length = ring_run(from, at, limit < end ? limit : end, &codec);
        if (codec >= 0)
            ring_put(to, at, from->bytes + index, length, codec);
        at += length;
    }
}
