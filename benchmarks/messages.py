"""SIP messages and session descriptions of the scripted peers: those of the product's own phone."""

from recorder.demo.phones.sip_messages import (
    PHRASES,
    Media,
    Message,
    WireError,
    build_request,
    build_response,
    media_address,
    parse,
)

__all__ = ["PHRASES", "Media", "Message", "WireError", "build_request", "build_response", "media_address", "parse"]
