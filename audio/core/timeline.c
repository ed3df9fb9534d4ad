/* Where a packet belongs on its channel's time line (docs/media-core.md; audio/timeline.py is the same in Python). */
#include "state.h"

#define AHEAD 4000
#define BEHIND 32000
#define STALE_AFTER 8000
#define DECAY 2000
#define RUN_AWAY 1000 /* no clock is faster than the call's by more than one tick in so many */
#define ANCHOR_EVERY 8000

int64_t envelope(const struct channel *channel, int64_t here)
{
    if (!channel->has_epoch)
        return 0;
    int64_t aged = here - channel->env_here;
    return channel->env_value - (aged > 0 ? aged / DECAY : 0);
}

int timeline_expect(const struct channel *channel, uint32_t ssrc, uint32_t ts, int64_t here, int64_t *position)
{
    if (!channel->has_epoch || channel->ssrc != ssrc)
        return 0;
    *position = channel->ref_pos + (int32_t)(ts - channel->ref_ts);
    int64_t lead = *position - here, env = envelope(channel, here), age = here - channel->began_here;
    int64_t most = channel->began_lead + BEHIND + (age > 0 ? age / RUN_AWAY : 0);
    return env - BEHIND <= lead && lead <= env + AHEAD && lead <= most;
}

static void begin_epoch(struct channel *channel, uint32_t ssrc, uint32_t ts, int64_t position, int64_t here)
{
    if (channel->has_epoch && channel->ssrc != ssrc) {
        channel->ssrc_before = channel->ssrc;
        channel->has_before = 1;
    }
    channel->has_epoch = 1;
    channel->ssrc = ssrc;
    channel->ref_ts = ts;
    channel->ref_pos = position;
    channel->began_here = here;
    channel->began_lead = position - here;
    channel->env_value = position - here;
    channel->env_here = here;
}

int timeline_place(struct channel *channel, uint32_t ssrc, uint32_t ts, int64_t ticks, int64_t here, int64_t *position)
{
    int is_expected = timeline_expect(channel, ssrc, ts, here, position);
    if (is_expected) {
        int64_t env = envelope(channel, here), lead = *position - here;
        channel->env_value = lead > env ? lead : env;
        channel->env_here = here;
    } else {
        if (channel->has_before && ssrc == channel->ssrc_before && here - channel->last_here < STALE_AFTER)
            return 0;
        *position = here > channel->next_pos ? here : channel->next_pos;
        if (*position > here + AHEAD)
            return 0;
        begin_epoch(channel, ssrc, ts, *position, here);
    }
    channel->last_here = here;
    channel->longest = ticks > channel->longest ? ticks : channel->longest;
    if (*position + ticks > channel->next_pos) {
        channel->next_pos = *position + ticks;
        channel->ref_pos = *position;
        channel->ref_ts = ts;
    }
    return is_expected ? 1 : 2;
}

/* Keeps the packet with the least delay of each second: the lower envelope that playback aligns the clocks by. */
void anchor_note(struct channel *channel, const struct anchor *anchor, int64_t here)
{
    if (!channel->has_candidate || anchor->lead > channel->candidate.lead) {
        channel->candidate = *anchor;
        channel->has_candidate = 1;
    }
    if (channel->has_window && here - channel->window_here < ANCHOR_EVERY)
        return;
    if (channel->anchor_count < MAX_ANCHORS)
        channel->anchors[channel->anchor_count++] = channel->candidate;
    channel->has_candidate = 0;
    channel->has_window = 1;
    channel->window_here = here;
}
