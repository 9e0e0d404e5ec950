"""Image layouts pushed to a real registry: Debian's, with a password."""

from __future__ import annotations

import hashlib
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from deb_bootc_compose.derive.base import find_digest
from deb_bootc_compose.oci.index import make_index
from deb_bootc_compose.publish.outputs import ImageOutput
from deb_bootc_compose.publish.registry import (
    Registry,
    call_skopeo,
    find_pusher,
    inspect,
    parse_name,
    pull_image,
    push_image,
)
from debcore.errors import ConfigError, HostFailed
from debroot.store import Layer, Store
from tests.integration.tree.parts import make_parts
from tests.integration.tree.registry import Flaky, log_in, make_layout, registry

pytestmark = pytest.mark.root


@pytest.fixture(scope="module")
def pusher(store: Store) -> Layer:
    return find_pusher(store, "trixie")


@pytest.fixture
def authfile(tmp_path: Path) -> Path:
    return tmp_path / "auth.json"


def test_an_image_is_pushed_and_its_tags_move_whole(store: Store, pusher: Layer, authfile: Path) -> None:
    with store.workplace("data", "one", "two") as place, registry(store, place / "data") as host:
        where = Registry(f"{host}/tests/server", authfile, insecure=True)
        first = make_layout(store, pusher, place / "one", "13.1")
        log_in(authfile, host, "wrong")
        with pytest.raises(HostFailed, match=r"(?i)unauthorized|authentication required"):
            push_image(store, pusher, where, first, tags=["13.1"], say=lambda _: None)
        log_in(authfile, host)
        done = push_image(store, pusher, where, first, tags=["13.1", "latest"], say=lambda _: None)
        assert done.digest == inspect(store, pusher, where, "latest") == inspect(store, pusher, where, "13.1")
        for tag, digest in ((":latest", None), ("", done.digest)):
            with store.workplace("out") as taken:
                named = replace(where, name=f"{where.name}{tag}")
                pull_image(store, pusher, named, digest, taken / "out", arch="amd64")
                assert find_digest(taken / "out", "amd64") == done.digest

        second = make_layout(store, pusher, place / "two", "13.2")
        blobs = sorted((place / "two/oci/blobs/sha256").iterdir(), key=lambda path: -path.stat().st_size)
        data = bytearray(blobs[0].read_bytes())
        data[100] ^= 0xFF
        whole = blobs[0].read_bytes()
        blobs[0].write_bytes(data)
        with pytest.raises(HostFailed, match=r"(?i)digest"):
            push_image(store, pusher, where, second, tags=["latest"], say=lambda _: None)
        assert inspect(store, pusher, where, "latest") == first.digest
        blobs[0].write_bytes(whole)
        assert push_image(store, pusher, where, second, tags=["latest"], say=lambda _: None).digest == second.digest
        assert inspect(store, pusher, where, "13.1") == first.digest
        assert b"secret" not in b"".join(path.read_bytes() for path in place.glob("*/oci/*.json"))


def test_an_index_is_pushed_with_the_images_of_all_its_architectures(
    store: Store, pusher: Layer, authfile: Path, tmp_path: Path
) -> None:
    parts = make_parts(tmp_path)
    with store.workplace("data", "index") as place, registry(store, place / "data") as host:
        index = make_index(parts, tmp_path / "oci", tags=["1"])
        where = Registry(f"{host}/tests/many", authfile, insecure=True)
        log_in(authfile, host)
        image = ImageOutput("server", index.digest, index.layout, ("1",), is_index=True)
        tmp_path.chmod(0o755)
        done = push_image(store, pusher, where, image, tags=["1", "latest"], say=lambda _: None)
        assert done.digest == index.digest == inspect(store, pusher, where, "latest")
        for part in parts:
            by_digest = Registry(where.name, authfile, insecure=True)
            words = ["inspect", "--raw", "--tls-verify=false", f"docker://{where.name}@{part.digest}"]
            raw = call_skopeo(store, pusher, by_digest, words, None)
            assert f"sha256:{hashlib.sha256(raw).hexdigest()}" == part.digest


@pytest.mark.slow
def test_a_registry_that_fails_half_way_of_a_push(store: Store, pusher: Layer, authfile: Path) -> None:
    """At a fifth of the blobs, in their midst, before the manifest, before its tag: it names the image before or the
    new one, and the same push again ends what was begun."""
    parts = (200, 5, 2, 1.2, 1.01, 1.002)
    names = [f"new{number}" for number in range(len(parts))]
    with (
        store.workplace("data", "old", *names) as place, registry(store, place / "data") as host,
        Flaky(int(host.rpartition(":")[2])) as flaky,
    ):  # fmt: skip
        where = Registry(f"{flaky.host}/tests/half", authfile, insecure=True)
        log_in(authfile, flaky.host)
        old = make_layout(store, pusher, place / "old", "1.0")
        push_image(store, pusher, where, old, tags=["latest"], say=lambda _: None)
        whole, broken = flaky.carried, 0
        for number, part in enumerate(parts):
            new = make_layout(store, pusher, place / f"new{number}", f"1.{number + 1}")
            flaky.begin(int(whole / part))
            with pytest.raises(HostFailed, match=flaky.host) as caught:
                push_image(store, pusher, where, new, tags=["latest"], say=lambda _: None)
            assert "run this again" in caught.value.hint
            flaky.begin(None)
            named = inspect(store, pusher, where, "latest")
            assert named in (old.digest, new.digest)
            broken += named == old.digest
            done = push_image(store, pusher, where, new, tags=["latest"], say=lambda _: None)
            assert done.digest == new.digest == inspect(store, pusher, where, "latest")
            old = new
        assert broken >= len(parts) - 1, "it failed before the tag moved"


def test_a_registry_that_is_not_there(store: Store, pusher: Layer) -> None:
    with store.workplace("one") as place, socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and nobody listens
        where = Registry(f"127.0.0.1:{taken.getsockname()[1]}/x", None, insecure=True)
        image = make_layout(store, pusher, place / "one", "1")
        with pytest.raises(HostFailed, match="refused"):
            push_image(store, pusher, where, image, tags=["1"], say=lambda _: None)
        with pytest.raises(ConfigError, match="no tag of a registry"):
            push_image(store, pusher, where, image, tags=["1+2"], say=lambda _: None)


@pytest.mark.parametrize("good", ["example.org/server", "docker://localhost:5000/a/b-c.d__e"])
def test_names_of_registries(good: str) -> None:
    assert parse_name(good) == good.removeprefix("docker://")


@pytest.mark.parametrize(
    "bad", ["server", "example.org", "example.org/Server", "example.org/a:1", "-x/a", "a b/c", "h/../x"]
)
def test_what_is_no_name(bad: str) -> None:
    with pytest.raises(ConfigError):
        parse_name(bad)
