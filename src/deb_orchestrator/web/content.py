"""Blobs as answers: from a file by the kernel, from a bucket piece by piece through the hub.

The hub never sends a client to the bucket itself: private suites stay private, and the last piece of a whole blob goes
out only if its hash is right, so that damage becomes a transfer that breaks off.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import chain

from fastapi import Request
from fastapi.responses import FileResponse, Response, StreamingResponse

from debcore.blobs import Blob, BlobStore

_RANGE = re.compile(r"bytes=(\d{0,19})-(\d{0,19})")


def blob_response(
    blobs: BlobStore, found: Blob, request: Request, *, media_type: str = "application/octet-stream",
    headers: Mapping[str, str],
) -> Response:  # fmt: skip
    """One blob, or the one range that is asked for. *headers* hold its ETag.

    Errors: StoreAway, Failure, HostFailed before anything is sent; later the connection breaks off.
    """
    path = blobs.local(found.sha256)
    if path is not None:
        return FileResponse(path, media_type=media_type, headers=dict(headers))
    more = dict(headers) | {"Accept-Ranges": "bytes"}
    span = find_range(request.headers, found)
    if span is None:
        start, end, status = 0, found.size, 200
    elif span[0] >= span[1]:
        return Response(status_code=416, headers=more | {"Content-Range": f"bytes */{found.size}"})
    else:
        (start, end), status = span, 206
        more["Content-Range"] = f"bytes {start}-{end - 1}/{found.size}"
    more["Content-Length"] = str(end - start)
    if request.method == "HEAD":
        return Response(status_code=status, media_type=media_type, headers=more)
    whole = (start, end) == (0, found.size)
    pieces = blobs.stream(found.sha256) if whole else blobs.read_part(found.sha256, start, end)
    return StreamingResponse(_begin(pieces), status_code=status, media_type=media_type, headers=more)


def find_range(headers: Mapping[str, str], found: Blob) -> tuple[int, int] | None:
    """Start and end (bytes) of the one range wanted, empty if it cannot be had; None: all of it. RFC 9110, 14.2."""
    match = _RANGE.fullmatch(headers.get("range", ""))
    if match is None or match.group(1, 2) == ("", ""):
        return None
    if headers.get("if-range", f'"{found.sha256}"') != f'"{found.sha256}"':
        return None  # a date, or another content's name: all of it is right in both cases
    first, last = match.groups()
    if not first:
        return max(0, found.size - int(last)), found.size
    end = min(found.size, int(last) + 1) if last else found.size
    return (int(first), end) if int(first) < end else (0, 0)


def _begin(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """With the first piece read, so that what is wrong with the store is known before the answer begins."""
    first = next(pieces, b"")
    return chain([first], pieces)
