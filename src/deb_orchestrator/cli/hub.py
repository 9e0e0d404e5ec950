"""deb-orchestrator hub."""

from __future__ import annotations

import threading
from pathlib import Path

import click

from deb_orchestrator.artifacts import open_objects
from deb_orchestrator.bus.jetstream import STREAM, Target
from deb_orchestrator.cli.oidc_options import oidc_options
from deb_orchestrator.cli.process import ending_option, log_option, ready_option, wait_for_end
from deb_orchestrator.home import default_state
from deb_orchestrator.hub import HubServer, Listen
from deb_orchestrator.lifetime import tell_ready
from deb_orchestrator.services.oidc import OidcSettings
from debcore.errors import HostFailed

FILE = click.Path(path_type=Path, dir_okay=False, exists=True)


@click.command()
@click.option(
    "--state",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Blobs, and SQLite's database.",
)
@click.option("--database", metavar="URL", envvar="DEBOOTC_DATABASE", help="postgresql://…; default: SQLite in DIR.")
@click.option("--blobs", type=click.Path(path_type=Path, file_okay=False), metavar="DIR", help="Shared by all hubs.")
@click.option(
    "--artifacts", metavar="s3://BUCKET/PREFIX", envvar="DEBOOTC_ARTIFACTS",
    help="Blobs are in a bucket. Credentials: as AWS's own programs find them (environment, ~/.aws).",
)  # fmt: skip
@click.option("--s3-endpoint", metavar="URL", envvar="AWS_ENDPOINT_URL_S3", help="The S3 server, if it is not AWS's.")
@click.option("--listen", metavar="ADDRESS", default="127.0.0.1", show_default=True)
@click.option("--port", type=click.IntRange(0, 65535), default=8043, show_default=True, metavar="N", help="0: any.")
@click.option("--tls-cert", type=FILE, help="PEM file: the certificate, with those between it and its authority.")
@click.option("--tls-key", type=FILE, help="PEM file: its key.")
@click.option("--url", metavar="URL", help="What others call it, if not by its address: as in the certificate.")
@click.option("--behind-proxy", multiple=True, metavar="ADDRESS", help="A proxy that does TLS, and is believed.")
@click.option("--nats", metavar="URL", help="nats://HOST:PORT or tls://…: where all events go, to a JetStream stream.")
@click.option("--nats-stream", metavar="NAME", default=STREAM, show_default=True, help="Made if there is none.")
@click.option("--nats-credentials", type=FILE, help="USER:PASSWORD or a token on one line, or a .creds file.")
@click.option("--nats-ca", type=FILE, help="PEM file: the authority of a tls:// server, if it is its own.")
@oidc_options
@log_option
@ready_option
@ending_option
def command(
    state: Path | None, database: str | None, blobs: Path | None, artifacts: str | None, s3_endpoint: str | None,
    listen: str, port: int, tls_cert: Path | None,
    tls_key: Path | None, url: str | None,
    behind_proxy: tuple[str, ...], nats: str | None, nats_stream: str, nats_credentials: Path | None,
    nats_ca: Path | None, oidc: OidcSettings | None, ready_fd: int | None, ended: threading.Event,
) -> None:  # fmt: skip
    """Run a hub: API, web pages, archive. Signers and builders are processes of their own.

    Beyond this host it listens with TLS or behind a declared proxy only.
    """
    place = (state or default_state()).resolve()
    listening = Listen(host=listen, port=port, tls_cert=tls_cert, tls_key=tls_key, proxies=behind_proxy, url=url)
    stream = Target(url=nats, stream=nats_stream, credentials=nats_credentials, ca=nats_ca) if nats else None
    objects = open_objects(artifacts, s3_endpoint)
    server = HubServer(place, listening, database=database, blobs=blobs, objects=objects, stream=stream, oidc=oidc)
    try:
        server.start()
        token_file = server.write_credential(place / "client.json", ca=tls_cert)
        click.echo(f"hub      {server.url}")
        click.echo(f"sign in  {server.make_login_url()}   (once, within 15 minutes)")
        click.echo(f"admin    DEBOOTC_HUB={server.url} DEBOOTC_TOKEN_FILE={token_file}")

        def look_after() -> None:
            if not server.healthy:
                raise HostFailed("a part of the hub has ended", hint="see its log above; start it again")

        tell_ready(ready_fd, {"url": server.url, "token_file": str(token_file), "state": str(place)})
        wait_for_end(look_after, ended)
    finally:
        server.stop()
