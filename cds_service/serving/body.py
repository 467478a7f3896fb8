"""The request body as bytes: size-limited, decompressed, declared as JSON."""

from __future__ import annotations

import zlib

from flask import Request
from gunicorn.http.errors import ParseException  # type: ignore[import-untyped]  # gunicorn ships no types

from cds_service.errors import BadRequest, TooLarge, UnsupportedMedia
from cds_service.serving.slow_clients import SLOW_CLIENTS

JSON_TYPES = ("application/json", "application/fhir+json")


def json_body(request: Request, limit: int) -> bytes:
    """At most `limit` bytes, even after unpacking gzip or when chunked without a length.

    Raises UnsupportedMedia, TooLarge or BadRequest.
    """
    if request.mimetype not in JSON_TYPES:
        raise UnsupportedMedia("expected Content-Type application/json")
    packed = (request.content_encoding or "identity").strip().lower()
    if packed not in ("identity", "gzip", "x-gzip"):
        raise UnsupportedMedia("expected Content-Encoding gzip, or none")
    if (request.content_length or 0) > limit:
        raise _too_large(limit)
    try:
        read = request.stream.read(limit + 1)
        SLOW_CLIENTS.end()
    except (OSError, ParseException) as error:  # gunicorn raises the latter on invalid chunks and trailers
        raise BadRequest(
            "expected the whole body without long pauses; it stopped arriving or is chunked wrongly"
        ) from error
    if len(read) > limit:
        raise _too_large(limit)
    return read if packed == "identity" else _unpacked(read, limit)


def _unpacked(packed: bytes, limit: int) -> bytes:
    unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    try:
        body = unpacker.decompress(packed, limit + 1)
    except zlib.error as error:
        raise BadRequest("expected a body in gzip, as Content-Encoding says; found another") from error
    if len(body) > limit:
        raise _too_large(limit)
    if not unpacker.eof or unpacker.unused_data:
        raise BadRequest("expected one whole gzip stream; found it cut short or followed by more")
    return body


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"the body is larger than the {limit} bytes that are read")
