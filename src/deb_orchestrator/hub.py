"""A hub as a process: database, API, web pages, its own workers and the tender, started and stopped together."""

from __future__ import annotations

import gc
import ipaddress
import logging
import os
import secrets
import socket
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from deb_orchestrator.bus.jetstream import Target, check_target
from deb_orchestrator.services import people
from deb_orchestrator.services.asking import SOLVE_POOL
from deb_orchestrator.services.delivering import Deliverer
from deb_orchestrator.services.hub import Denied, Hub, LoginNeeded, Principal
from deb_orchestrator.services.oidc import OidcSettings, Provider
from deb_orchestrator.services.streaming import Streamer
from deb_orchestrator.services.work import Tender, Worker
from deb_orchestrator.store.engine import open_database
from deb_orchestrator.store.migrate import migrate
from deb_orchestrator.web.api.app import make_app
from deb_orchestrator.web.saying import SayingProtocol
from debcore.blobs import BlobStore, Objects
from debcore.errors import Failure, HostFailed
from debcore.hub.credential import Credential, load_token, write_credential
from debcore.hub.model import TokenAsk
from debcore.path import write_file

log = logging.getLogger(__name__)

#: Who acts when the hub's own operator does something on its host.
OPERATOR = Principal(name="operator", scope="admin")
WORKERS = 2
START_S = 30.0
STOP_S = 15.0


@dataclass(frozen=True, kw_only=True)
class Listen:
    """Where the hub listens. *port* 0: any free one. *proxies*: addresses of proxies that are believed.

    *url*: what others call it, if that is not its address.
    """

    host: str = "127.0.0.1"
    port: int = 0
    tls_cert: Path | None = None
    tls_key: Path | None = None
    proxies: tuple[str, ...] = ()
    url: str | None = None

    @property
    def scheme(self) -> str:
        return "https" if self.tls_cert else "http"


def check_listen(listen: Listen) -> None:
    """Errors: Failure where tokens would cross a network in clear text."""
    if (listen.tls_cert is None) != (listen.tls_key is None):
        raise Failure("TLS needs a certificate and a key", hint="give both --tls-cert and --tls-key")
    if listen.tls_cert is not None or listen.proxies or _is_loopback(listen.host):
        return
    raise Failure(
        f"refusing to listen on {listen.host} without TLS",
        hint="give --tls-cert and --tls-key, or --behind-proxy ADDRESS if a proxy does TLS, or listen on 127.0.0.1",
    )


class HubServer:
    """Start it, then stop it. One per process."""

    def __init__(
        self, state: Path, listen: Listen, *, database: str | None = None, blobs: Path | None = None,
        objects: Objects | None = None, stream: Target | None = None, oidc: OidcSettings | None = None,
    ) -> None:  # fmt: skip
        """*blobs*: where the content is, shared by all hubs of a farm; default: in *state*.

        *objects*: where it is instead; uploads that are not whole stay in *blobs*. *stream*: where events go.
        *oidc*: how people log in.

        Errors: Failure if the state is another hub's, the address is taken, or TLS is missing where it is needed."""
        check_listen(listen)
        if stream is not None:
            check_target(stream)
        self._stream = stream
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._socket = _bind(listen)
        self.url = listen.url or _find_url(listen.scheme, *self._socket.getsockname()[:2])
        self.hub = _open_hub(state, database, blobs or state / "blobs", objects)
        self._provider = Provider(oidc, self.url) if oidc is not None else None
        self._app = make_app(self.hub, secure=self.url.startswith("https:"), provider=self._provider)
        self._server = uvicorn.Server(_configure(self._app, listen))
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self._wakes: list[Callable[[], None]] = []

    def start(self) -> None:
        """Return once it answers. Errors: HostFailed if it does not."""
        tender = Tender(self.hub)
        tender.tend()  # takes back what was lost while no hub was alive, before anybody asks
        workers = [Worker(self.hub, f"hub-{_hub_id(self.hub.state)}-{n}") for n in range(WORKERS)]
        workers.append(Worker(self.hub, f"hub-{_hub_id(self.hub.state)}-solver", pool=SOLVE_POOL))
        for worker in workers:
            self._run(worker.run, "worker")
            self._wakes.append(worker.wake)
        self._run(tender.run, "tender")
        self._wakes.append(tender.wake)
        deliverer = Deliverer(self.hub)
        self._run(deliverer.run, "webhooks")
        self._wakes.append(deliverer.wake)
        if self._stream is not None:
            streamer = Streamer(self.hub, self._stream, self.url)
            self._run(streamer.run, "stream")
            self._wakes.append(streamer.wake)
        serve = threading.Thread(target=self._server.run, kwargs={"sockets": [self._socket]}, name="web", daemon=True)
        self._threads.append(serve)
        serve.start()
        end = time.monotonic() + START_S
        while not self._server.started:
            if not serve.is_alive() or time.monotonic() > end:
                raise HostFailed("the hub's web server did not start", hint="see its log above")
            time.sleep(0.01)
        gc.collect()
        gc.freeze()  # a collection of all that was imported holds every thread up for a fifth of a second, for nothing
        log.debug("the hub answers at %s", self.url)

    @property
    def healthy(self) -> bool:
        """False once one of its threads has ended by itself."""
        return all(thread.is_alive() for thread in self._threads)

    def stop(self) -> None:
        """End long polls and threads, then close the database. Jobs at hand are finished."""
        self._stop.set()
        self._app.state.parking.close()
        self._app.state.line.close()
        self._server.should_exit = True
        for wake in self._wakes:
            wake()
        end = time.monotonic() + STOP_S
        for thread in self._threads:
            thread.join(max(0.1, end - time.monotonic()))
        self._socket.close()
        if self._provider is not None:
            self._provider.close()
        self.hub.wake.close()
        self.hub.db.close()

    def write_credential(self, path: Path, *, ca: Path | None = None) -> Path:
        """A token for people and programs of this host in *path* (0600) and, bare, beside it; kept while it is good.

        Returns the path of the bare token.
        """
        bare = path.with_suffix(".token")
        token = load_token(bare) if bare.exists() else ""
        if not token or not self._is_good(token):
            made = people.make_token(self.hub, OPERATOR, TokenAsk(name="operator", scope="admin", days=365))
            token = made.secret or ""
            bare.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_file(bare, token + "\n", mode=0o600)
        write_credential(path, Credential(self.url, token, ca))
        return bare

    def make_login_url(self) -> str:
        """A URL that signs one browser in, once."""
        return f"{self.url}/login/{people.make_login_link(self.hub, OPERATOR)[0]}"

    def _is_good(self, token: str) -> bool:
        try:
            return people.find_principal(self.hub, token).scope == "admin"
        except (LoginNeeded, Denied):
            return False

    def _run(self, target: Callable[[threading.Event], None], name: str) -> None:
        thread = threading.Thread(target=target, args=(self._stop,), name=name, daemon=True)
        self._threads.append(thread)
        thread.start()


def _open_hub(state: Path, database: str | None, place: Path, objects: Objects | None) -> Hub:
    db = open_database(database or state / "hub.sqlite")
    try:
        migrate(db)
        blobs = BlobStore(place, objects)
    except BaseException:
        db.close()
        raise
    blobs.sweep_incoming()
    return Hub(db=db, blobs=blobs, state=state)


def _configure(app: object, listen: Listen) -> uvicorn.Config:
    logging.getLogger("uvicorn").setLevel(logging.WARNING)  # its notes on starting and stopping tell a person nothing
    return uvicorn.Config(
        app,  # type: ignore[arg-type]  # FastAPI is an ASGI application; uvicorn's alias says so in another way
        http=SayingProtocol, log_config=None, access_log=False, server_header=False, lifespan="on",
        timeout_graceful_shutdown=3,
        proxy_headers=bool(listen.proxies), forwarded_allow_ips=list(listen.proxies) or None,
        ssl_certfile=listen.tls_cert, ssl_keyfile=listen.tls_key, timeout_keep_alive=75,
    )  # fmt: skip


def _bind(listen: Listen) -> socket.socket:
    if listen.tls_cert is not None and listen.tls_key is not None:
        try:
            ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(listen.tls_cert, listen.tls_key)
        except (OSError, ssl.SSLError) as error:
            raise Failure(f"the TLS certificate or key cannot be used: {error}", hint="both are PEM files") from error
    family = socket.AF_INET6 if ":" in listen.host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # if 0, asyncio leaves Nagle on
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((listen.host, listen.port))
    except OSError as error:
        sock.close()
        raise Failure(
            f"cannot listen on {listen.host} port {listen.port}: {error.strerror}", hint="choose another with --port"
        ) from error
    os.set_inheritable(sock.fileno(), False)
    return sock


def _find_url(scheme: str, host: str, port: int) -> str:
    """Of what it listens on; by the host's name if that is every address."""
    if ipaddress.ip_address(host).is_unspecified:
        host = socket.getfqdn()
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"


def _hub_id(state: Path) -> str:
    """Names this hub among others on one database, for as long as its state directory lives."""
    path = state / "hub-id"
    if not path.exists():
        write_file(path, secrets.token_hex(8) + "\n")
    return path.read_text().strip()


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
