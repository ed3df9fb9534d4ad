# What `_relay.pyx` calls of the media core; audio/core/core.h says what each does.

from libc.stdint cimport int16_t, int64_t, uint8_t, uint32_t

cdef extern from "string.h" nogil:
    void explicit_bzero(void *, size_t)

cdef extern from "core.h" nogil:
    struct core:
        pass
    struct event:
        int64_t kind
        int64_t id
        int64_t a
        int64_t b
        int64_t c
        int64_t at_ns
    struct leg_format:
        int codec
        int send_pt
        int receive_pt
    struct leg_media:
        leg_format first
        leg_format more[2]
        int send_event_pt
        int receive_event_pt
        int sends
        int receives
    struct leg_statistics:
        int64_t received
        int64_t sent
        int64_t lost
        int64_t dropped
        int64_t jitter_us
        int64_t remote_lost
        int64_t digits
        int64_t unauthentic
        int64_t replayed
        int64_t refused
    struct core_counters:
        int64_t legs
        int64_t taps
        int64_t ring_bytes
        int64_t received
        int64_t sent
        int64_t dropped
        int64_t send_errors
        int64_t rtcp_received
        int64_t rtcp_malformed
        int64_t late_ticks
        int64_t lost_ticks
        int64_t srtp_unauthentic
        int64_t srtp_replayed
        int64_t relayed
        int64_t refused
        int64_t lost
        int64_t starved
    core *core_new(int threads, int max_events, int lock_memory, int64_t dead_rtp_ns,
                   int64_t gather_ns)
    int core_relay_in_kernel(core *, const char *program, const char *const *interfaces, int count, int packets_per_s)
    int core_use_io_uring(core *, int buffers, int packets_per_s)
    int core_uses_io_uring(core *)
    int core_start(core *)
    int64_t core_turn(core *, int64_t now_ns)
    void core_close(core *)
    void core_free(core *)
    int core_event_fd(const core *)
    int core_drain_events(core *, event *out, int max)
    int64_t core_dropped_events(core *)
    void core_count(core *, core_counters *)
    int64_t core_open_leg(core *, int thread, int rtp_fd, int rtcp_fd)
    int core_close_leg(core *, int64_t leg)
    int core_set_remote(core *, int64_t leg, const char *rtp_ip, int rtp_port, const char *rtcp_ip, int rtcp_port)
    int core_accept_from(core *, int64_t leg, const char *ip)
    int core_listen(core *, int64_t leg, const char *ip, int port, const char *const *ips, const int *bits, int count)
    int core_update_leg(core *, int64_t leg, const leg_media *)
    int core_srtp_key(core *, int64_t leg, int is_send, int suite, const uint8_t *key, size_t length,
                      const uint8_t *mki, size_t mki_length)
    int core_srtp_off(core *, int64_t leg)
    int core_bridge(core *, int64_t a, int64_t b)
    int core_unbridge(core *, int64_t leg)
    int core_play(core *, int64_t leg, const uint8_t *audio, size_t length, int64_t tag, int loop)
    int core_stop(core *, int64_t leg)
    int core_mute(core *, int64_t leg, int is_muted)
    int core_dtmf_policy(core *, int64_t leg, int policy, unsigned control, unsigned secret)
    int core_detect_tones(core *, int64_t leg, int is_on)
    int core_report_voice(core *, int64_t leg, int is_on)
    int core_send_dtmf(core *, int64_t leg, int digit, int duration_ms)
    int core_leg_statistics(core *, int64_t leg, leg_statistics *)
    int64_t core_leg_silence(core *, int64_t leg)
    int core_leg_has_packets(core *, int64_t leg)
    int core_inject(core *, int64_t leg, int is_rtcp, const uint8_t *packet, size_t length, int64_t arrival_ns)
    int core_prepare(core *, int64_t look_back, int64_t ring)
    int64_t core_open_tap(core *, int64_t left, int64_t right, int64_t look_back, int64_t ring, int mask, int is_closed, int64_t now_ns)
    int core_retarget_tap(core *, int64_t tap, int64_t left, int64_t right)
    int64_t core_gate_close(core *, int64_t tap, int64_t erase_ticks, int64_t now_ns)
    int64_t core_gate_open(core *, int64_t tap, int64_t now_ns)
    int core_gate_mask(core *, int64_t tap, int64_t from_ticks, int64_t to_ticks, int64_t now_ns)
    enum:
        SILENCED_SPANS
    int core_tap_silenced(core *, int64_t tap, int64_t *out)
    int64_t core_tap_now(core *, int64_t tap, int64_t now_ns)
    int64_t core_drain_tap(core *, int64_t tap, uint8_t *out, size_t size, int is_final, int64_t now_ns, int *more)
    int core_release_tap(core *, int64_t tap)
    struct tap_packets:
        int64_t received[2]
        int64_t lost[2]
    int core_tap_packets(core *, int64_t tap, tap_packets *)
    struct block_survey:
        int64_t end
        int64_t ticks[2]
        int lost
        uint32_t codecs[2]
        int64_t clipped[2]
        int64_t anchored[2]
        int64_t arrived[2]
    int survey_of_block(const uint8_t *, size_t, block_survey *)
    int levels_of_block(const uint8_t *, size_t, int channel, int64_t *first, uint8_t *out, uint8_t *has, int max)
    int64_t buckets_of_block(const uint8_t *, size_t, int channel)
    int64_t samples_of_block(const uint8_t *, size_t, int channel, int64_t start, int16_t *out, int64_t count)
    enum:
        SPEECH_WINDOW
    struct window_features:
        double swing_db
        double crossings
        double steady
        int digits
    void features_of_window(const int16_t *, window_features *)
    void g711_init()
