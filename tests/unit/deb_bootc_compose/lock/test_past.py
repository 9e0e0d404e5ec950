"""Archives as they were at a time: what is turned, and that nothing is taken as it is now by mistake."""

from __future__ import annotations

from pathlib import Path

import pytest

from deb_bootc_compose import past
from deb_bootc_compose.compose import Options, check_start
from deb_bootc_compose.lock import Lock, check_locked
from deb_bootc_compose.manifest import Manifest, load_manifest
from deb_bootc_compose.plan import make_nodes
from deb_bootc_compose.sources import archive_sources
from debcore.errors import CommandFailed, ConfigError, Failure

AT, LATER = "20261120T000000Z", "20261121T120000Z"
TOP = """\
schema: deb-bootc-compose/1
release: {name: Example, short: Example, version: "13"}
suite: trixie
security: none
variables: {at: "20261120T000000Z"}
variants: {server: {arches: [amd64], ref: example/server}}
"""


def load(directory: Path, text: str, **variables: str) -> Manifest:
    (directory / "compose.yaml").write_text(TOP + text)
    return load_manifest(directory, variables=variables)


def source(name: str, uri: str, suites: str = "trixie", more: str = "") -> str:
    return f'  - {{name: {name}, uris: ["{uri}"], suites: [{suites}], trusted: true{more}}}\n'


def uris(manifest: Manifest) -> dict[str, tuple[str, bool]]:
    """Source → (URI, whether Valid-Until is checked), as the lock's task is told."""
    past.check(manifest)
    (lock,) = [node for node in make_nodes(manifest, Options(until="lock"), {}) if node.kind == "lock"]
    names = [one["name"] for one in lock.params["sources"]] or ["main", "security"]
    found = archive_sources(lock.params)
    return {name: (one.uris[0], one.check_valid_until) for name, one in zip(names, found, strict=True)}


def test_sources_with_a_place_and_debians_are_turned(tmp_path: Path) -> None:
    text = 'snapshot: "${at}"\nsnapshot-service: "https://kept.example/@ARCHIVE@/@SNAPSHOTID@"\nsources:\n'
    text += source("ours", "https://m.example/@SNAPSHOTID@/debian") + source("debian", "https://ftp.debian.org/debian/")
    text += source("security", "http://pockets.debian.org/", "trixie-security")
    text += source("vendor", "https://apt.example/", "stable")
    text += source("now", "https://ftp.debian.org/debian", more=", snapshot: null")
    (tmp_path / LATER).mkdir()
    text += source("later", f"file://{tmp_path}/@SNAPSHOTID@", more=f', snapshot: "{LATER}"')
    service = "https://kept.example"
    assert uris(load(tmp_path, text)) == {
        "ours": (f"https://m.example/{AT}/debian", False),
        "debian": (f"{service}/debian/{AT}", False),
        "security": (f"{service}/debian-security/{AT}", False),
        "vendor": ("https://apt.example/", True),
        "now": ("https://ftp.debian.org/debian", True),
        "later": (f"file://{tmp_path}/{LATER}", False),
    }
    assert past.described(load(tmp_path, text))["snapshots"] == {
        "ours": AT, "debian": AT, "security": AT, "later": LATER,
    }  # fmt: skip
    assert uris(load(tmp_path, text, at=LATER))["debian"][0] == f"{service}/debian/{LATER}"


def test_the_hosts_mirror_is_turned_whatever_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEBOOTC_MIRROR", "http://mirror.example/d")
    monkeypatch.setenv("DEBOOTC_SECURITY_MIRROR", "http://mirror.example/s")
    monkeypatch.setattr("debroot.sources.find_key", lambda *_: "key\n")
    manifest = load(tmp_path, 'snapshot: "${at}"\nsnapshot-service: "http://kept.example/@SNAPSHOTID@/@ARCHIVE@"\n')
    manifest = load_manifest(_with_security(tmp_path))
    assert [uri for uri, _ in uris(manifest).values()] == [
        f"http://kept.example/{AT}/debian", f"http://kept.example/{AT}/debian-security",
    ]  # fmt: skip
    monkeypatch.setenv("DEBOOTC_SNAPSHOTS", "http://other.example/@ARCHIVE@/@SNAPSHOTID@")
    assert uris(manifest)["main"] == (f"http://other.example/debian/{AT}", False)
    monkeypatch.setenv("DEBOOTC_SNAPSHOTS", "http://other.example/")
    with pytest.raises(Failure, match="DEBOOTC_SNAPSHOTS is"):
        uris(manifest)


def _with_security(directory: Path) -> Path:
    path = directory / "compose.yaml"
    path.write_text(path.read_text().replace("security: none\n", ""))
    return directory


@pytest.mark.parametrize(
    ("text", "said", "line"),
    [
        ("sources:\n" + source("a", "file:///srv/@SNAPSHOTID@"), "has a place for a snapshot, and none is named", 8),
        (f'snapshot: "{AT}"\nsources:\n' + source("a", "https://m.example/debian"), "has no place for a snapshot", 9),
        (f'snapshot: "{AT}"\n', "no service is named", 7),
        ("sources:\n" + source("a", "https://m.example/", more=f', snapshot: "{AT}"'), "has no place for a snap", 8),
    ],
)
def test_what_is_not_said_whole_is_refused_at_its_line(text: str, said: str, line: int, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        check_start(load(tmp_path, text), Options())
    assert f"compose.yaml:{line}" in str(caught.value)


@pytest.mark.parametrize("value", ["yesterday", "20261120", "20261320T000000Z", "20261120T000000"])
def test_what_is_no_time(value: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"compose\.yaml:7.*no snapshot: a time in UTC such as 20261120T000000Z"):
        load(tmp_path, f'snapshot: "{value}"\n')
    load(tmp_path, 'snapshot: ""\n')


def test_identities_without_snapshots_stay(tmp_path: Path) -> None:
    (lock,) = make_nodes(load(tmp_path, "sources:\n" + source("a", "file:///srv")), Options(until="lock"), {})
    assert not {"snapshots", "snapshot-service"} & set(lock.params)
    assert set(lock.params["sources"][0]) == {
        "name", "uris", "suites", "components", "signed-by", "trusted", "pin",
    }  # fmt: skip


def test_a_lock_of_another_time_is_refused() -> None:
    lock = Lock(suite="trixie", timestamp=1, version="1", releases={}, variants={}, snapshots={"debian": AT})
    check_locked(lock, suite="trixie", asked={}, snapshots={"debian": AT})
    with pytest.raises(Failure, match=rf"debian at {AT}\) than the manifest \(debian at {LATER}\)"):
        check_locked(lock, suite="trixie", asked={}, snapshots={"debian": LATER})
    with pytest.raises(Failure, match=r"than the manifest \(none\)"):
        check_locked(lock, suite="trixie", asked={})


def test_a_snapshot_that_is_not_there_is_named(tmp_path: Path) -> None:
    missing = CommandFailed(["apt-get"], 100, "Err:1 http://a trixie InRelease\n  404  Not Found [IP: 1]\nE: failed\n")
    named = past.explaining({"snapshots": {"debian": AT}})
    with pytest.raises(Failure, match=f"there is no snapshot {AT}: 404  Not Found") as caught, named:
        raise missing
    assert "DEBOOTC_SNAPSHOTS" in caught.value.hint
    kept = load(tmp_path, f'snapshot: "{AT}"\nsources:\n' + source("a", f"file://{tmp_path}/@SNAPSHOTID@"))
    with pytest.raises(Failure, match=f"there is no snapshot {AT}: {tmp_path}/{AT} is no directory"):
        uris(kept)
    with pytest.raises(CommandFailed), past.explaining({}):
        raise missing
