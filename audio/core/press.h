/* Keys that are pressed on a leg, and what each of the files that deal with them keeps of them. */
#ifndef AUDIO_CORE_PRESS_H
#define AUDIO_CORE_PRESS_H

#include "core.h"
#include "packet.h"
#include "tones.h"

struct leg;

#define KEYS "0123456789*#ABCD" /* by event code, RFC 4733 section 3.2 */
#define STAR 10                 /* its code */
#define NO_KEY 0xFF             /* the code of an event that is over and has been forgotten */
#define RECENT_PRESSES 8 /* as many as fit the time in which an echo counts */

/* A key of late, to tell echoes and doubles; forgotten after two seconds. */
struct press {
    int code; /* -1: nothing */
    int64_t from_ns, to_ns;
};

struct star {
    uint8_t is_held;
    uint32_t duration;
    int64_t until_ns;
};

/* press.c */
void press_init(struct leg *leg);
void press_event(struct leg *leg, const struct packet *packet);
int press_audio(struct leg *leg, const struct packet *packet, int is_placed, int64_t position); /* 0: it has passed */
int64_t press_tick(struct leg *leg, int64_t now);
void press_house(struct leg *leg, int64_t now);
int press_is_idle(const struct leg *leg, int64_t now);
void press_forget(struct leg *leg); /* who was heard until now was somebody else; without a report */
void press_end(struct leg *leg, int64_t now);
int press_set_policy(struct leg *leg, enum dtmf_policy policy, unsigned control, unsigned prefixes, int64_t now);
int press_set_tones(struct leg *leg, int is_on, int64_t now);

/* The RFC 4733 event that is arriving, and what the policy does with it. */
struct digit_in {
    uint32_t ssrc, ts, duration, former_ts; /* former_ts: of the event before it, whose ends may still come */
    uint16_t newest;                        /* highest sequence number of its packets */
    uint16_t end_duration, former_end;      /* durations that the newest end of each says */
    uint8_t has_event, has_ended, has_end /* its end was seen, else its packets ceased */, has_former, code, former_code, is_held;
    int64_t last_ns;
};

/* What an event packet says, and what it is to the event that is arriving. */
struct dtmf_packet {
    int code, is_end;
    uint32_t duration;
    int is_key, is_late, begins; /* late: of an event before; begins: it is the first of its event */
    struct digit_in former;      /* begins: what arrived until then */
};

#define DIGIT_QUEUE 16

/* Events that we make ourselves on a leg: send_dtmf and replays. */
struct digit_out {
    int count;
    uint8_t is_sending, ends_sent;
    struct {
        uint8_t code;
        uint16_t duration_ticks;
    } queue[DIGIT_QUEUE];
    int head;
    uint32_t ts, duration;
    int64_t next_ns;
};

/* dtmf.c */
int digit_code(int digit);
int dtmf_take(struct digit_in *event, const struct packet *packet, struct dtmf_packet *out);
void dtmf_pass(struct leg *from, const struct packet *packet, uint32_t duration);
int dtmf_queue(struct leg *leg, int code, uint32_t duration_ticks, int64_t now);
void dtmf_replay(struct leg *from, int code, uint32_t duration_ticks, int64_t now);
int64_t dtmf_tick(struct leg *leg, int64_t now);

/* How a packet of audio joins what the tone detector has been fed with. */
enum inband_join { INBAND_NEXT, INBAND_BEHIND_GAP, INBAND_ANEW, INBAND_PASSED };

#define MAX_TONES_EVENTS (4 + MAX_PACKET / TONES_BLOCK)

/* inband_dtmf.c; room for MAX_TONES_EVENTS */
enum inband_join inband_join(const struct leg *leg, const struct packet *packet);
int inband_skip(struct leg *leg, const struct packet *packet, struct tones_event *events);
int inband_feed(struct leg *leg, const struct packet *packet, int is_anew, int is_placed, int64_t position,
                struct tones_event *events);
int inband_finish(struct leg *leg, struct tones_event *events);
void inband_leave(struct leg *leg);
void inband_set(struct leg *leg, int is_on);
void inband_reset(struct leg *leg);

/* What a key was to an entry. */
enum pin_step { PIN_GOES_ON, PIN_COMPLETE, PIN_INCOMPLETE, PIN_CONTROL, PIN_PREFIX };

#define PIN_KEYS 12 /* of an entry behind a secret prefix */

/* Keys behind a secret prefix, until "#". */
struct pin_entry {
    uint8_t is_on, prefix, has_star, is_spoiled, count, keys[PIN_KEYS];
    int64_t until_ns;
};

/* pin_entry.c */
void pin_begin(struct pin_entry *pin, int prefix, int64_t now);
enum pin_step pin_take(struct pin_entry *pin, int code, unsigned control, unsigned prefixes, int64_t now);
int64_t pin_packed(const struct pin_entry *pin);
int64_t pin_until(const struct pin_entry *pin, int is_pressed);

/* delay_buffer.c */
int delay_update(struct leg *leg, int is_pin_near, int64_t now);
void delay_audio(struct leg *leg, const struct packet *packet, int is_heard);
void delay_silence_tail(const struct leg *leg, const struct packet *packet);
void delay_swallowed(struct leg *leg, const struct packet *packet);
void delay_cut(struct leg *leg);
void delay_drop(struct leg *leg);
void delay_free(struct leg *leg);
int64_t delay_tick(struct leg *leg, int64_t now);

#endif
