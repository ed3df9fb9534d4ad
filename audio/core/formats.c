/* The formats that were negotiated for a leg. */
#include "leg.h"

int leg_codec_of(const struct leg *leg, int payload_type)
{
    if (payload_type == leg->media.first.receive_pt)
        return leg->media.first.codec;
    for (int i = 0; i < MORE_FORMATS; i++)
        if (payload_type == leg->media.more[i].receive_pt)
            return leg->media.more[i].codec;
    return -1;
}

int same_rate(int codec, int other)
{
    return (codec == CODEC_G722) == (other == CODEC_G722);
}
