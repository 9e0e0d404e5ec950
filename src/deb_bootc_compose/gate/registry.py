"""A registry with one image, for a machine that pulls it: `python3 registry.py LAYOUT DIGEST PORT`, until it is ended.

Read only, on the loopback of the machine's sandbox. Any repository and any tag name the image DIGEST of the OCI layout;
manifests and blobs are found by digest. Standard library only: it runs in a tools root.
Source: OCI distribution specification 1.1, "Pull" and "Error Codes".
"""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import sys
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import IO

NAME = r"[a-z0-9]+(?:[._/-]+[a-z0-9]+)*"
MANIFEST = re.compile(rf"/v2/{NAME}/manifests/(?:(?P<tag>\w[\w.-]{{0,127}})|sha256:(?P<hex>[0-9a-f]{{64}}))", re.ASCII)
BLOB = re.compile(rf"/v2/{NAME}/blobs/sha256:(?P<hex>[0-9a-f]{{64}})", re.ASCII)

#: Of a manifest that does not name its own type, as it need not.
MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"

LONGEST = 2048  #: characters of a path that is looked at
MANIFEST_SIZE = 4 * 1024**2  #: bytes; distribution-spec, "Pushing Manifests": what registries take at least


class Registry(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "deb-bootc-gate", ""
    timeout = 300  # seconds that a connection may be idle

    def __init__(self, layout: Path, digest: str, *rest: object) -> None:
        self.blobs = layout / "blobs/sha256"
        self.image = digest.removeprefix("sha256:")
        super().__init__(*rest)  # type: ignore[arg-type]  # it answers the request in its constructor

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if len(path) > LONGEST:
            self._refuse("NAME_INVALID")
        elif path in ("/v2", "/v2/"):
            self._answer(b"{}", "application/json")
        elif match := MANIFEST.fullmatch(path):
            self._send_manifest(self.image if match["tag"] else match["hex"])
        elif match := BLOB.fullmatch(path):
            self._send_blob(match["hex"])
        else:
            self._refuse("NAME_UNKNOWN")

    do_HEAD = do_GET

    def _send_manifest(self, digest: str) -> None:
        file = self._open(digest)
        if file is None:
            return self._refuse("MANIFEST_UNKNOWN")
        with file:
            content = file.read(MANIFEST_SIZE + 1)
        try:
            kind = json.loads(content).get("mediaType", MANIFEST_TYPE)
        except (ValueError, AttributeError):
            return self._refuse("MANIFEST_UNKNOWN")
        return self._answer(content, str(kind), digest)

    def _send_blob(self, digest: str) -> None:
        file = self._open(digest)
        if file is None:
            return self._refuse("BLOB_UNKNOWN")
        with file:
            self._head("application/octet-stream", os.fstat(file.fileno()).st_size, digest)
            if self.command == "GET":
                shutil.copyfileobj(file, self.wfile, 1 << 20)
        return None

    def _open(self, digest: str) -> IO[bytes] | None:
        """A regular file of the layout; None if there is none of that name."""
        try:
            file = os.fdopen(os.open(self.blobs / digest, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb")
        except OSError:
            return None
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            file.close()
            return None
        return file

    def _head(self, kind: str, size: int, digest: str = "", status: HTTPStatus = HTTPStatus.OK) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(size))
        self.send_header("Docker-Distribution-Api-Version", "registry/2.0")
        if digest:
            self.send_header("Docker-Content-Digest", f"sha256:{digest}")
        self.end_headers()

    def _answer(self, content: bytes, kind: str, digest: str = "", status: HTTPStatus = HTTPStatus.OK) -> None:
        self._head(kind, len(content), digest, status)
        if self.command == "GET":
            self.wfile.write(content)

    def _refuse(self, code: str) -> None:
        content = json.dumps({"errors": [{"code": code, "message": "only one image is here"}]}).encode()
        self._answer(content, "application/json", status=HTTPStatus.NOT_FOUND)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """What went well is not told: the console of the machine has this log."""
        if code != HTTPStatus.OK:
            super().log_request(code, size)


class Server(ThreadingHTTPServer):
    def handle_error(self, _request: object, client_address: object) -> None:
        """A client that hangs up ends its own connection only; one line tells it."""
        print(f"{client_address}: {sys.exc_info()[1]!r}", file=sys.stderr, flush=True)


def make_server(layout: Path, digest: str, port: int) -> Server:
    """Not yet serving; *port* 0: a free one."""
    return Server(("127.0.0.1", port), partial(Registry, layout, digest))


if __name__ == "__main__":
    make_server(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])).serve_forever()
