"""The border of the load generator in C (core/load.c); see _load.pyi for what each call does."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memset

import os
import socket

cdef extern from "arpa/inet.h" nogil:
    uint16_t htons(uint16_t value)

cdef extern from "netinet/in.h" nogil:
    struct in_addr:
        uint32_t s_addr
    struct sockaddr_in:
        uint16_t sin_family
        uint16_t sin_port
        in_addr sin_addr
    int AF_INET

cdef extern from "load.h" nogil:
    enum:
        LOAD_BUCKETS
        LOAD_FINE_BUCKETS
        LOAD_PAYLOAD
    struct load
    struct load_counts:
        uint64_t sent
        uint64_t unsent
        uint64_t received
        uint64_t duplicates
        uint64_t reordered
        uint64_t damaged
        uint64_t strayed
        uint64_t other
        uint64_t late_sends
    load *load_open(int capacity, int threads)
    int load_add(load *load, int stream, int fd, const sockaddr_in *to, int payload_type, int peer, int skew_ppm)
    int load_begin(load *load, int stream)
    int load_cease(load *load, int stream)
    int load_start(load *load)
    void load_stop(load *load)
    int load_stream_counts(const load *load, int stream, load_counts *counts)
    void load_histogram(const load *load, uint64_t *buckets)
    void load_variations(const load *load, uint64_t *buckets)
    void load_close(load *load)
    void load_payload(int stream, uint32_t number, uint64_t sent_ns, uint8_t *payload)
    int load_intact(int stream, uint32_t first_number, const uint8_t *payloads, int count)

FINE_BUCKETS = LOAD_FINE_BUCKETS
PAYLOAD_BYTES = LOAD_PAYLOAD


def payload(int stream, uint32_t number, uint64_t sent_ns):
    cdef uint8_t content[LOAD_PAYLOAD]
    load_payload(stream, number, sent_ns, content)
    return content[:LOAD_PAYLOAD]


def intact(int stream, uint32_t first_number, const uint8_t[::1] payloads):
    cdef int count = <int>(payloads.shape[0] // LOAD_PAYLOAD)
    if count == 0:
        return 0
    with nogil:
        count = load_intact(stream, first_number, &payloads[0], count)
    return count


cdef class Load:
    cdef load *_load
    cdef readonly int capacity
    cdef list _owners

    def __cinit__(self, *, int capacity, int threads=1):
        if capacity < 1 or threads < 1 or threads > capacity:
            raise ValueError(f"capacity {capacity} with {threads} threads: both from 1, no more threads than streams")
        self.capacity = capacity
        self._owners = []
        self._load = load_open(capacity, threads)
        if self._load is NULL:
            raise MemoryError

    def __dealloc__(self):
        if self._load is not NULL:
            with nogil:
                load_close(self._load)

    cdef int _check(self, int code) except -1:
        if code < 0:
            raise OSError(-code, os.strerror(-code))
        return 0

    cdef int _open(self) except -1:
        if self._load is NULL:
            raise ValueError("the load is closed")
        return 0

    def add_stream(self, int stream, sock, remote, *, int pt, int peer, int skew_ppm=0):
        cdef sockaddr_in to
        cdef bytes packed = socket.inet_aton(remote[0])
        cdef const uint8_t *address = packed
        self._open()
        memset(&to, 0, sizeof(to))
        to.sin_family = AF_INET
        to.sin_port = htons(remote[1])
        (<uint8_t *>&to.sin_addr)[0] = address[0]
        (<uint8_t *>&to.sin_addr)[1] = address[1]
        (<uint8_t *>&to.sin_addr)[2] = address[2]
        (<uint8_t *>&to.sin_addr)[3] = address[3]
        self._check(load_add(self._load, stream, sock.fileno(), &to, pt, peer, skew_ppm))
        self._owners.append(sock)  # the descriptor stays valid as long as the threads may use it

    def begin(self, int stream):
        self._open()
        self._check(load_begin(self._load, stream))

    def cease(self, int stream):
        self._open()
        self._check(load_cease(self._load, stream))

    def start(self):
        self._open()
        self._check(load_start(self._load))

    def stop(self):
        self._open()
        with nogil:
            load_stop(self._load)

    def close(self):
        cdef load *closing = self._load
        self._load = NULL
        if closing is not NULL:
            with nogil:
                load_close(closing)
        self._owners.clear()

    def counts(self, int stream):
        cdef load_counts counts
        self._open()
        self._check(load_stream_counts(self._load, stream, &counts))
        return counts

    def histogram(self):
        cdef uint64_t buckets[LOAD_BUCKETS]
        self._open()
        load_histogram(self._load, buckets)
        return [buckets[at] for at in range(LOAD_BUCKETS)]

    def variations(self):
        cdef uint64_t buckets[LOAD_BUCKETS]
        self._open()
        load_variations(self._load, buckets)
        return [buckets[at] for at in range(LOAD_BUCKETS)]
