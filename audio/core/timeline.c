/* Where a packet belongs on its channel's time line (docs/media-core.md); tests/reference/timeline.py is the same. */
#include <string.h>

#include "tap.h"

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

static int64_t position_of(const struct epoch *epoch, uint32_t ts)
{
    return epoch->ref_pos + (int32_t)(ts - epoch->ref_ts);
}

/* A packet of this number, or one after it, has come (RFC 3550 appendix A.1). */
static int is_passed(const struct epoch *epoch, uint16_t seq)
{
    return (int16_t)(seq - epoch->newest) <= 0;
}

int timeline_expect(const struct channel *channel, uint32_t ssrc, uint32_t ts, int64_t here, int64_t *position)
{
    if (!channel->has_epoch || channel->epoch.ssrc != ssrc)
        return 0;
    *position = position_of(&channel->epoch, ts);
    int64_t lead = *position - here, env = envelope(channel, here), age = here - channel->began_here;
    int64_t most = channel->began_lead + BEHIND + (age > 0 ? age / RUN_AWAY : 0);
    return env - BEHIND <= lead && lead <= env + AHEAD && lead <= most;
}

/* The stream's current or last epoch; NULL: not heard lately. */
static const struct epoch *known_epoch(const struct channel *channel, uint32_t ssrc)
{
    if (channel->has_epoch && channel->epoch.ssrc == ssrc)
        return &channel->epoch;
    for (int i = 0; i < channel->past_count; i++)
        if (channel->past[i].ssrc == ssrc)
            return &channel->past[i];
    return NULL;
}

static void remember_past(struct channel *channel, uint32_t ssrc)
{
    struct epoch past[MAX_PAST] = {channel->epoch};
    int count = 1;
    for (int i = 0; i < channel->past_count && count < MAX_PAST; i++)
        if (channel->past[i].ssrc != ssrc)
            past[count++] = channel->past[i];
    memcpy(channel->past, past, sizeof past);
    channel->past_count = count;
}

static void begin_epoch(struct channel *channel, const struct packet *packet, int64_t position, int64_t late, int64_t here)
{
    if (channel->has_epoch && channel->epoch.ssrc != packet->ssrc) {
        remember_past(channel, packet->ssrc);
        channel->has_moved = 1;
    }
    channel->has_restarted = channel->has_epoch;
    channel->has_epoch = 1;
    channel->epoch = (struct epoch){packet->ssrc, packet->ts, position, packet->seq};
    channel->began_here = here;
    channel->began_lead = position - here;
    channel->began_late = late;
    channel->env_value = position - here;
    channel->env_here = here;
}

/* The packet opens a new epoch, or is dropped: 0. */
static int place_anew(struct channel *channel, const struct packet *packet, int64_t here, struct placement *out)
{
    const struct epoch *known = known_epoch(channel, packet->ssrc);
    out->is_passed = known && is_passed(known, packet->seq);
    int is_previous = known && known == &channel->past[0];
    if ((out->is_passed || (is_previous && !packet->has_returned)) && here - channel->last_here < STALE_AFTER)
        return 0;
    out->position = here > channel->next_pos ? here : channel->next_pos;
    if (out->position > here + AHEAD)
        return 0;
    out->is_new_epoch = 1;
    out->is_known = known != NULL;
    out->former = known ? position_of(known, packet->ts) : 0;
    out->late = known == &channel->epoch ? here - channel->newest_here + channel->newest_late : INT32_MAX;
    channel->has_stepped = out->is_known;
    channel->stepped_seq = packet->seq;
    begin_epoch(channel, packet, out->position, out->is_known ? out->late : 0, here);
    return 1;
}

/* The packet belongs to the running epoch: its clock has not stepped back since, nor does it step back now. */
static int is_of_epoch(const struct channel *channel, const struct packet *packet, int64_t here, int64_t *position)
{
    if (!timeline_expect(channel, packet->ssrc, packet->ts, here, position))
        return 0;
    if (channel->has_stepped && (int16_t)(packet->seq - channel->stepped_seq) < 0)
        return 0;
    return *position >= channel->epoch.ref_pos || is_passed(&channel->epoch, packet->seq);
}

/*
 * What was sent after a packet was said after it. So however a clock steps, its next packet is no later than the time
 * since that one came, and what it was late itself: nobody need doubt a sender whose clock steps while it talks.
 */
static void note_newest(struct channel *channel, int64_t lead, int64_t here)
{
    channel->newest_here = here;
    channel->newest_late = envelope(channel, here) - lead + (here - channel->began_here < SETTLED ? channel->began_late : 0);
}

void timeline_forget(struct channel *channel, int64_t from, int64_t here)
{
    if (channel->has_epoch && !channel->past_count && channel->began_here >= from)
        channel->has_epoch = channel->has_restarted = channel->has_moved = channel->has_stepped = 0;
    channel->last_here = here - STALE_AFTER; /* who was heard before may begin at once */
    channel->next_pos = channel->next_pos < here ? channel->next_pos : here;
}

int timeline_place(struct channel *channel, const struct packet *packet, int64_t here, struct placement *out)
{
    *out = (struct placement){0};
    if (is_of_epoch(channel, packet, here, &out->position)) {
        int64_t env = envelope(channel, here), lead = out->position - here;
        channel->env_value = lead > env ? lead : env;
        channel->env_here = here;
    } else if (!place_anew(channel, packet, here, out)) {
        return 0;
    }
    if (out->position + packet->length > channel->next_pos || !is_passed(&channel->epoch, packet->seq))
        note_newest(channel, out->position - here, here);
    channel->last_here = here;
    channel->longest = packet->length > channel->longest ? packet->length : channel->longest;
    if (out->position + packet->length > channel->next_pos) {
        channel->next_pos = out->position + packet->length;
        channel->epoch = (struct epoch){packet->ssrc, packet->ts, out->position, packet->seq};
    } else if (!is_passed(&channel->epoch, packet->seq)) {
        channel->epoch.newest = packet->seq;
    }
    return 1;
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
