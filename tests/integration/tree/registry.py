"""Debian's docker-registry with a password, small images for it, and what logs in."""

from __future__ import annotations

import base64
import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from deb_bootc_compose.publish.outputs import ImageOutput
from debroot.bootstrap import tools_root
from debroot.sandbox import Bind, Sandbox, run_in, start_in
from debroot.store import Layer, Store

CONFIG = """\
version: 0.1
log: {{level: error, accesslog: {{disabled: true}}}}
storage: {{filesystem: {{rootdirectory: /data}}, delete: {{enabled: true}}}}
http: {{addr: "127.0.0.1:{port}"}}
auth: {{htpasswd: {{realm: tests, path: /etc/htpasswd}}}}
"""
LAYOUT = """set -e; cd /out; mkdir /run/l; echo "$1" > /run/l/version; head -c 3000000 /dev/urandom > /run/l/big
tar -C /run/l -cf /run/l.tar version big
skopeo copy -q "tarball:/run/l.tar" "oci:/out/oci:$1"; sha256sum oci/index.json >/dev/null
skopeo inspect --no-tags --format '{{.Digest}}' "oci:/out/oci:$1"
"""


@contextmanager
def registry(store: Store, place: Path) -> Iterator[str]:
    """HOST:PORT of a registry whose data is in *place*, owned by root inside."""
    tools = tools_root(store, packages=("docker-registry", "apache2-utils"))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    script = (
        'htpasswd -Bbc /etc/htpasswd tests secret 2>/dev/null && printf %s "$1" > /etc/registry.yml && '
        "exec docker-registry serve /etc/registry.yml"
    )
    box = Sandbox(lowers=tools.lowers(), binds=(Bind(source=place, target="/data", readonly=False),), network="host")
    argv = ["sh", "-c", script, "sh", CONFIG.format(port=port)]
    with start_in(box, argv, idmap=store.idmap):
        end = time.monotonic() + 60
        while not answers(port):
            assert time.monotonic() < end, "the registry does not answer"
            time.sleep(0.1)
        yield f"127.0.0.1:{port}"


def answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/v2/")
        return connection.getresponse().status == 401
    except OSError:
        return False
    finally:
        connection.close()


def make_layout(store: Store, pusher: Layer, place: Path, tag: str) -> ImageOutput:
    box = Sandbox(lowers=pusher.lowers(), binds=(Bind(source=place, target="/out", readonly=False),))
    done = run_in(box, ["sh", "-c", LAYOUT, "sh", tag], idmap=store.idmap, capture=True)
    return ImageOutput("server.amd64", done.text.strip(), place / "oci", (tag,))


def log_in(authfile: Path, host: str, password: str = "secret") -> None:
    token = base64.b64encode(f"tests:{password}".encode()).decode()
    authfile.write_text(json.dumps({"auths": {host: {"auth": token}}}))


class Flaky:
    """A relay to *port* that hangs up for good once it has carried *budget* bytes there (None: all)."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.budget: int | None = None
        self.carried = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.host = f"127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Flaky:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def begin(self, budget: int | None) -> None:
        self.budget, self.carried = budget, 0

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                if self._is_spent():
                    client.close()
                    continue
                server = socket.create_connection(("127.0.0.1", self._port))
                threading.Thread(target=self._carry, args=(client, server, True), daemon=True).start()
                threading.Thread(target=self._carry, args=(server, client, False), daemon=True).start()

    def _is_spent(self) -> bool:
        return self.budget is not None and self.carried >= self.budget

    def _carry(self, source: socket.socket, sink: socket.socket, counted: bool) -> None:
        with suppress(OSError):
            while data := source.recv(16384):
                if counted:
                    if self.budget is not None:
                        data = data[: max(0, self.budget - self.carried)]
                    self.carried += len(data)
                sink.sendall(data)
                if counted and self._is_spent():
                    break
        for one in (source, sink):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
