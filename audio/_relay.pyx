# distutils: language = c
"""The border between Python and the media core in C: no logic, one call each (ADR 0003; rules: docs/media-core.md)."""

from cpython.mem cimport PyMem_Free, PyMem_Malloc
from libc.errno cimport EINVAL, ENOENT, ENOMEM, ESHUTDOWN, errno
from libc.stdint cimport INT64_MIN, int16_t, int64_t, uint8_t, uint32_t
from libc.string cimport memset

from audio._core cimport *

import os

cdef enum:
    EVENTS_AT_ONCE = 256

g711_init()  # the tables that the analysis of blocks needs without a core


cdef int64_t checked(int64_t code, str what) except -1:
    """Return a result of the core, or raise what its negated errno stands for."""
    if code >= 0:
        return code
    if code == -ENOENT:
        raise KeyError(f"{what}: unknown or closed id")
    if code == -EINVAL:
        raise ValueError(f"{what}: value out of range or not possible now")
    if code == -ENOMEM:
        raise MemoryError(f"{what}: no memory, or no more may be locked (RLIMIT_MEMLOCK)")
    if code == -ESHUTDOWN:
        raise RuntimeError(f"{what}: the core is closed")
    raise OSError(-code, os.strerror(-code), what)


cdef int64_t moment(now_ns) except? -1:
    """Return a time of the caller's, or the value that has the core read the clock."""
    return INT64_MIN if now_ns is None else now_ns


cdef int64_t second_keys(sequences) except -1:
    """Return the events of the keys after the star as a set of bits."""
    cdef int64_t keys = 0
    for sequence in sequences:
        if len(sequence) != 2 or sequence[0] != "*" or sequence[1] not in "0123456789*#ABCD":
            raise ValueError("a control sequence is * and one key")
        keys |= 1 << "0123456789*#ABCD".index(sequence[1])
    return keys


cdef class Core:
    """Sockets, legs, taps and media threads of one process."""

    cdef core *core

    def __cinit__(self, *, int threads=1, int max_events=8192, bint lock_memory=True, int dead_rtp_ms=10000,
                  int gather_us=2000):
        self.core = core_new(threads, max_events, lock_memory, <int64_t>dead_rtp_ms * 1000000, <int64_t>gather_us * 1000)
        if self.core is NULL:
            checked(-errno, "Core")

    def __dealloc__(self):
        if self.core is not NULL:
            core_close(self.core)
            core_free(self.core)

    @property
    def event_fd(self):
        return core_event_fd(self.core)

    @property
    def dropped_events(self):
        return core_dropped_events(self.core)

    def relay_in_kernel(self, str program not None, list interfaces not None, *, int packets_per_s):
        cdef const char *names[16]
        cdef list encoded = [name.encode() for name in interfaces]
        cdef bytes path = os.fsencode(program)
        cdef const char *path_text = path
        cdef int64_t code
        cdef int i, count = len(encoded)
        if not 1 <= count <= 16:
            raise ValueError("relay_in_kernel: one interface at least, and 16 at most")
        for i in range(count):
            names[i] = encoded[i]
        with nogil:
            code = core_relay_in_kernel(self.core, path_text, names, count, packets_per_s)
        if code < 0:  # whatever it is, it is the kernel's answer
            raise OSError(-code, os.strerror(-code))

    def use_io_uring(self, *, int packets_per_s, int buffers=0):
        cdef int64_t code
        with nogil:
            code = core_use_io_uring(self.core, buffers, packets_per_s)
        if code < 0:  # whatever it is, it is the kernel's answer
            raise OSError(-code, os.strerror(-code))

    @property
    def threads_by_io_uring(self):
        return core_uses_io_uring(self.core)

    def start(self):
        checked(core_start(self.core), "start")

    def turn(self, int64_t now_ns):
        with nogil:
            code = core_turn(self.core, now_ns)
        return checked(code, "turn")

    def close(self):
        with nogil:
            core_close(self.core)

    def open_leg(self, *, int thread, int rtp_fd, int rtcp_fd):
        with nogil:
            code = core_open_leg(self.core, thread, rtp_fd, rtcp_fd)
        return checked(code, "open_leg")

    def close_leg(self, int64_t leg):
        with nogil:
            code = core_close_leg(self.core, leg)
        checked(code, "close_leg")

    def set_remote(self, int64_t leg, tuple rtp not None, tuple rtcp not None):
        cdef bytes rtp_ip = rtp[0].encode(), rtcp_ip = rtcp[0].encode()
        cdef const char *rtp_text = rtp_ip
        cdef const char *rtcp_text = rtcp_ip
        cdef int rtp_port = rtp[1], rtcp_port = rtcp[1]
        with nogil:
            code = core_set_remote(self.core, leg, rtp_text, rtp_port, rtcp_text, rtcp_port)
        checked(code, "set_remote")

    def accept_from(self, int64_t leg, str ip not None):
        cdef bytes encoded = ip.encode()
        cdef const char *text = encoded
        with nogil:
            code = core_accept_from(self.core, leg, text)
        checked(code, "accept_from")

    def listen(self, int64_t leg, expected, list networks not None):
        cdef const char *ips[32]
        cdef int bits[32]
        cdef bytes expected_ip = expected[0].encode() if expected is not None else b""
        cdef const char *expected_text = NULL
        if expected is not None:
            expected_text = expected_ip
        cdef int port = expected[1] if expected is not None else 0
        cdef list encoded = [ip.encode() for ip, _ in networks]
        cdef int i, count = len(networks)
        if count > 32:
            raise ValueError("listen: more than 32 networks")
        for i in range(count):
            ips[i] = encoded[i]
            bits[i] = networks[i][1]
        with nogil:
            code = core_listen(self.core, leg, expected_text, port, ips, bits, count)
        checked(code, "listen")

    def update_leg(
        self, int64_t leg, *, int codec, int send_pt, int receive_pt, int send_event_pt, int receive_event_pt,
        bint sends, bint receives, more=(),
    ):
        cdef leg_media media
        cdef int i
        if len(more) > 2:
            raise ValueError("update_leg: more codecs than there are")
        media.first = leg_format(codec, send_pt, receive_pt)
        for i in range(2):
            media.more[i] = leg_format(0, -1, -1)
            if i < len(more):
                media.more[i] = leg_format(more[i][0], more[i][1], more[i][2])
        media.send_event_pt = send_event_pt
        media.receive_event_pt = receive_event_pt
        media.sends = sends
        media.receives = receives
        with nogil:
            code = core_update_leg(self.core, leg, &media)
        checked(code, "update_leg")

    def srtp_key(self, int64_t leg, *, bint is_send, int suite, bytearray key not None, bytes mki not None):
        cdef const uint8_t *data = key
        cdef const uint8_t *mki_data = mki
        cdef size_t length = len(key), mki_length = len(mki)
        with nogil:
            code = core_srtp_key(self.core, leg, is_send, suite, data, length, mki_data, mki_length)
        checked(code, "srtp_key")

    def srtp_off(self, int64_t leg):
        with nogil:
            code = core_srtp_off(self.core, leg)
        checked(code, "srtp_off")

    def bridge(self, int64_t a, int64_t b):
        with nogil:
            code = core_bridge(self.core, a, b)
        checked(code, "bridge")

    def unbridge(self, int64_t leg):
        with nogil:
            code = core_unbridge(self.core, leg)
        checked(code, "unbridge")

    def play(self, int64_t leg, bytes audio, *, int64_t tag, bint loop=False):
        cdef const uint8_t *data = audio
        cdef size_t length = len(audio)
        with nogil:
            code = core_play(self.core, leg, data, length, tag, loop)
        checked(code, "play")

    def stop(self, int64_t leg):
        with nogil:
            code = core_stop(self.core, leg)
        checked(code, "stop")

    def mute(self, int64_t leg, bint is_muted):
        with nogil:
            code = core_mute(self.core, leg, is_muted)
        checked(code, "mute")

    def dtmf_policy(self, int64_t leg, int policy, control=(), secret=()):
        cdef unsigned control_keys = second_keys(control), secret_keys = second_keys(secret)
        with nogil:
            code = core_dtmf_policy(self.core, leg, policy, control_keys, secret_keys)
        checked(code, "dtmf_policy")

    def detect_tones(self, int64_t leg, bint is_on):
        with nogil:
            code = core_detect_tones(self.core, leg, is_on)
        checked(code, "detect_tones")

    def report_voice(self, int64_t leg, bint is_on):
        with nogil:
            code = core_report_voice(self.core, leg, is_on)
        checked(code, "report_voice")

    def send_dtmf(self, int64_t leg, str digit, int duration_ms=160):
        cdef int key = ord(digit) if len(digit) == 1 else 0
        with nogil:
            code = core_send_dtmf(self.core, leg, key if key < 128 else 0, duration_ms)
        checked(code, "send_dtmf")

    def prepare(self, *, int64_t look_back_ticks, int64_t ring_ticks):
        with nogil:
            code = core_prepare(self.core, look_back_ticks, ring_ticks)
        checked(code, "prepare")

    def open_tap(
        self, int64_t left, int64_t right, *, int64_t look_back_ticks, int64_t ring_ticks, bint mask_left_digits=True,
        bint is_closed=False, now_ns=None,
    ):
        cdef int64_t now = moment(now_ns)
        with nogil:
            code = core_open_tap(self.core, left, right, look_back_ticks, ring_ticks, mask_left_digits, is_closed, now)
        return checked(code, "open_tap")

    def retarget_tap(self, int64_t tap, int64_t left, int64_t right):
        with nogil:
            code = core_retarget_tap(self.core, tap, left, right)
        checked(code, "retarget_tap")

    def gate_close(self, int64_t tap, int64_t erase_ticks, now_ns=None):
        cdef int64_t now = moment(now_ns)
        with nogil:
            code = core_gate_close(self.core, tap, erase_ticks, now)
        return checked(code, "gate_close")

    def gate_open(self, int64_t tap, now_ns=None):
        cdef int64_t now = moment(now_ns)
        with nogil:
            code = core_gate_open(self.core, tap, now)
        return checked(code, "gate_open")

    def gate_mask(self, int64_t tap, int64_t from_ticks, int64_t to_ticks, now_ns=None):
        cdef int64_t now = moment(now_ns)
        with nogil:
            code = core_gate_mask(self.core, tap, from_ticks, to_ticks, now)
        checked(code, "gate_mask")

    def tap_silenced(self, int64_t tap):
        cdef int64_t spans[2 * SILENCED_SPANS]
        with nogil:
            code = core_tap_silenced(self.core, tap, spans)
        return [(spans[2 * i], spans[2 * i + 1]) for i in range(checked(code, "tap_silenced"))]

    def tap_now(self, int64_t tap, now_ns=None):
        cdef int64_t now = moment(now_ns)
        with nogil:
            code = core_tap_now(self.core, tap, now)
        return checked(code, "tap_now")

    def drain_tap(self, int64_t tap, out, *, bint is_final=False, now_ns=None):
        cdef uint8_t[::1] view = out
        cdef uint8_t *data = &view[0] if view.shape[0] else NULL
        cdef size_t size = view.shape[0]
        cdef int64_t now = moment(now_ns)
        cdef int more = 0
        with nogil:
            code = core_drain_tap(self.core, tap, data, size, is_final, now, &more)
        return checked(code, "drain_tap"), more != 0

    def tap_packets(self, int64_t tap):
        cdef tap_packets found
        with nogil:
            code = core_tap_packets(self.core, tap, &found)
        checked(code, "tap_packets")
        return (found.received[0], found.received[1]), (found.lost[0], found.lost[1])

    def release_tap(self, int64_t tap):
        with nogil:
            code = core_release_tap(self.core, tap)
        checked(code, "release_tap")

    def drain_events(self):
        cdef event events[EVENTS_AT_ONCE]
        cdef int i, count = EVENTS_AT_ONCE
        cdef list out = []
        while count == EVENTS_AT_ONCE:
            with nogil:
                count = core_drain_events(self.core, events, EVENTS_AT_ONCE)
            for i in range(count):
                out.append(
                    (events[i].kind, events[i].id, events[i].a, events[i].b, events[i].c, events[i].at_ns)
                )
        explicit_bzero(events, sizeof(events))
        return out

    def leg_statistics(self, int64_t leg):
        cdef leg_statistics statistics
        with nogil:
            code = core_leg_statistics(self.core, leg, &statistics)
        checked(code, "leg_statistics")
        return statistics

    def leg_silence(self, int64_t leg):
        with nogil:
            silent_ns = core_leg_silence(self.core, leg)
        return checked(silent_ns, "leg_silence")

    def leg_has_packets(self, int64_t leg):
        with nogil:
            code = core_leg_has_packets(self.core, leg)
        return checked(code, "leg_has_packets") != 0

    def inject(self, int64_t leg, bytes packet, int64_t arrival_ns, *, bint is_rtcp=False):
        cdef const uint8_t *data = packet
        cdef size_t length = len(packet)
        with nogil:
            code = core_inject(self.core, leg, is_rtcp, data, length, arrival_ns)
        checked(code, "inject")

    def counters(self):
        cdef core_counters counters
        with nogil:
            core_count(self.core, &counters)
        return counters


def survey(block):
    cdef const uint8_t[::1] view = block
    cdef const uint8_t *data = &view[0] if view.shape[0] else NULL
    cdef block_survey found
    checked(survey_of_block(data, view.shape[0], &found), "survey")
    return (
        found.end,
        (found.ticks[0], found.ticks[1]),
        found.lost,
        (found.codecs[0], found.codecs[1]),
        (found.clipped[0], found.clipped[1]),
        ((found.anchored[0], found.arrived[0]), (found.anchored[1], found.arrived[1])),
    )


def samples(block, int channel, int64_t start, int16_t[::1] out):
    cdef const uint8_t[::1] view = block
    cdef const uint8_t *data = &view[0] if view.shape[0] else NULL
    if not out.shape[0]:
        raise ValueError("samples: no room")
    return checked(samples_of_block(data, view.shape[0], channel, start, &out[0], out.shape[0]), "samples")


def speech_features(const int16_t[::1] window):
    cdef window_features found
    if window.shape[0] != SPEECH_WINDOW:
        raise ValueError(f"speech_features: {SPEECH_WINDOW} samples are needed")
    features_of_window(&window[0], &found)
    return found.swing_db, found.crossings, found.steady, found.digits


def peaks(block, int channel):
    cdef const uint8_t[::1] view = block
    cdef const uint8_t *data = &view[0] if view.shape[0] else NULL
    cdef size_t length = view.shape[0]
    cdef int64_t first = 0, room = checked(buckets_of_block(data, length, channel), "peaks")
    cdef uint8_t *levels
    cdef int i, start = -1, count
    if room > 1 << 20:
        raise ValueError("peaks: the block spans more than a day")
    levels = <uint8_t *>PyMem_Malloc(2 * room + 1)
    if levels is NULL:
        raise MemoryError
    try:
        memset(levels, 0, 2 * room + 1)
        count = checked(levels_of_block(data, length, channel, &first, levels, levels + room, room), "peaks")
        out = []
        for i in range(count + 1):
            if i < count and levels[room + i]:
                start = i if start < 0 else start
            elif start >= 0:
                out.append((first + start, levels[start:i]))
                start = -1
        return out
    finally:
        PyMem_Free(levels)
