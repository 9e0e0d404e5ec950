"""What comes by dput: accepted whole, or rejected whole with a reason and nothing changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from deb_orchestrator.services import dput, targets, uploaders
from deb_orchestrator.store.schema import metadata
from deb_orchestrator.store.tables_doors import upload_file
from debcore.errors import Failure
from debcore.hub import model
from debcore.hub.doors import Distributions, UploaderAsk, UploadState
from debcore.hub.model import RequestState
from tests.contract.hub.dputting import Door, Sent, key_of
from tests.unit.orchestrator.services.farm import ADMIN, SUITE, Farm, only

#: What a rejection may add to: the verdict, the log of who did what, the events, holds that end by themselves.
VERDICT = {"upload", "upload_file", "audit", "event", "event_counter", "hold", "blob"}


def count_rows(farm: Farm) -> dict[str, int]:
    with farm.hub.db.read() as db:
        return {
            table.name: db.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
            for table in metadata.sorted_tables
            if table.name not in VERDICT
        }


def test_a_signed_upload_is_built_and_lands_in_the_suite(farm: Farm) -> None:
    door = Door.open(farm)
    answer = door.send(Sent.make())
    assert answer.status_code == 201, answer.text
    upload = dput.list_uploads(farm.hub)[0]
    assert (upload.state, upload.uploader, upload.source, upload.version) == (
        UploadState.ACCEPTED, "alice", "hello", "1.0"
    )  # fmt: skip
    assert upload.request
    assert upload.request in answer.text
    farm.settle()
    farm.finish_well(only(farm.claim()))
    farm.settle()
    assert farm.request(upload.request).state is RequestState.READY
    with farm.hub.db.read() as db:
        assert db.execute(sa.select(upload_file)).all() == [], "what was taken waits no more"


def test_what_is_here_already_is_known(farm: Farm) -> None:
    """The same upload again is the same request; a new revision need not bring the tarball of the old one."""
    door = Door.open(farm)
    for _ in range(2):
        assert door.send(Sent.make(tarball=b"orig")).status_code == 201
    first, second = dput.list_uploads(farm.hub)
    assert first.request == second.request
    newer = Sent.make(version="1.1", tarball=b"orig")
    dsc = newer.files["hello_1.1.dsc"].replace(b"hello_1.1.tar.xz", b"hello_1.0.tar.xz")
    newer.files = {"hello_1.1.dsc": dsc}
    assert door.send(newer).status_code == 201
    absent = Sent.make(version="1.2", tarball=b"other")
    del absent.files["hello_1.2.tar.xz"]
    answer = door.send(absent)
    assert answer.status_code == 422
    assert "hello_1.2.tar.xz, which is not here" in answer.text


def _fields(**fields: str) -> Callable[[Door, Sent], Any]:
    def send(door: Door, sent: Sent) -> Any:
        sent.fields = {name.replace("_", "-"): value for name, value in fields.items()}
        return door.send(sent)

    return send


def _stranger(door: Door, sent: Sent) -> Any:
    return door.send(sent, changes=sent.signed("mallory"))


def _unsigned(door: Door, sent: Sent) -> Any:
    return door.send(sent, changes=sent.text())


def _tampered(door: Door, sent: Sent) -> Any:
    return door.send(sent, changes=sent.signed().replace(b"T <t@example.org>", b"M <m@example.org>"))


def _appended(door: Door, sent: Sent) -> Any:
    sent.fields = {"Architecture": "source amd64"}
    changes = sent.signed()
    return door.send(sent, changes=b"Architecture: source\n" + changes)


def _other_bytes(door: Door, sent: Sent) -> Any:
    changes = sent.signed()
    sent.files["hello_1.0.tar.xz"] = b"y"
    return door.send(sent, changes=changes)


def _missing(door: Door, sent: Sent) -> Any:
    return door.put(sent.changes, sent.signed())


def _deb(door: Door, sent: Sent) -> Any:
    sent.files["hello_1.0_amd64.deb"] = b"!<arch>\n"
    return door.send(sent)


def _traversal(door: Door, sent: Sent) -> Any:
    sent.files["../../etc/hello_1.0.tar.xz"] = b"x"
    changes = sent.signed()
    del sent.files["../../etc/hello_1.0.tar.xz"]
    return door.send(sent, changes=changes)


def _other_dsc(door: Door, sent: Sent) -> Any:
    sent.files["hello_1.0.dsc"] = sent.files["hello_1.0.dsc"].replace(b"Version: 1.0", b"Version: 2.0")
    return door.send(sent)


def _lying_dsc(door: Door, sent: Sent) -> Any:
    sent.files["hello_1.0.tar.xz"] = b"not what the .dsc says"
    return door.send(sent)


def _huge(door: Door, sent: Sent) -> Any:
    return door.send(sent, changes=b"x" * (dput.MAX_CHANGES + 1))


def _noise(door: Door, sent: Sent) -> Any:
    return door.send(sent, changes=b"-----BEGIN PGP SIGNED MESSAGE-----\n\n\xff\x00<script>'; DROP TABLE upload")


def _more(door: Door, sent: Sent) -> Any:
    sent.files["hello_1.0-extra.tar.xz"] = b"z"
    return door.send(sent)


REJECTED: list[tuple[str, Callable[[Door, Sent], Any], str]] = [
    ("unsigned", _unsigned, "is not signed (sign it with: debsign)"),
    ("stranger", _stranger, "signed by the unknown key"),
    ("tampered", _tampered, "no good signature"),
    ("unsigned text before", _appended, "is not signed"),
    ("noise", _noise, "no good signature"),
    ("huge", _huge, "larger than"),
    ("other suite", _fields(Distribution="sid"), f"is for sid, and {SUITE} takes {SUITE}"),
    ("two suites", _fields(Distribution="sid trixie"), "Distribution is 'sid trixie'"),
    ("binaries", _fields(Architecture="source amd64"), "not 'source'"),
    ("no version", _fields(Version=""), "the field Version is missing"),
    ("evil version", _fields(Version="1.0;rm -rf"), "Version is"),
    ("evil source", _fields(Source="../hello"), "Source is"),
    ("no hashes", _fields(Checksums_Sha256=""), "Checksums-Sha256 is missing"),
    ("two lists", _fields(Files="\n d41d8cd98f00b204e9800998ecf8427e 0 misc optional a.dsc"), "do not list the same"),
    ("deb", _deb, "hello_1.0_amd64.deb is no part of a source package"),
    ("traversal", _traversal, "is not a plain file name"),
    ("missing", _missing, "not uploaded: hello_1.0.dsc, hello_1.0.tar.xz"),
    ("other bytes", _other_bytes, "size or hash is not what the .changes says: hello_1.0.tar.xz"),
    ("other .dsc", _other_dsc, "the .dsc is of hello 2.0"),
    ("more", _more, "the .dsc does not name hello_1.0-extra.tar.xz"),
    ("lying .dsc", _lying_dsc, "the .dsc and the .changes differ: hello_1.0.tar.xz"),
]


def test_a_bad_upload_says_why_and_changes_nothing(farm: Farm) -> None:
    """All on one farm: to make one takes longer than all of them together."""
    door = Door.open(farm)
    before = count_rows(farm)
    for name, send, reason in REJECTED:
        answer = send(door, Sent.make())
        assert 400 <= answer.status_code < 500, name
        assert reason in answer.text, name
        said = answer.headers["x-reason"]
        assert said.isascii(), name
        assert said.startswith(answer.text[:20].strip()), name
        upload = dput.list_uploads(farm.hub)[0]
        assert (upload.state, upload.request) == (UploadState.REJECTED, None), name
        assert reason in upload.reason, name
        assert count_rows(farm) == before, name
        with farm.hub.db.write() as db:
            db.execute(sa.delete(upload_file))
    assert len(dput.list_uploads(farm.hub)) == len(REJECTED)


def test_a_lower_version_and_the_same_version_with_other_content_are_rejected(farm: Farm) -> None:
    door = Door.open(farm)
    assert door.send(Sent.make(version="2.0")).status_code == 201
    farm.settle()
    farm.finish_well(only(farm.claim()))
    farm.settle()
    before = count_rows(farm)
    assert "newer than 1.0" in door.send(Sent.make(version="1.0")).text
    assert "other content" in door.send(Sent.make(version="2.0", tarball=b"other")).text
    assert "builds on none of" in door.send(Sent.make(name="far", arch="sparc")).text
    assert count_rows(farm) == before


def test_an_uploader_is_known_by_secret_and_key_for_as_long_as_it_lasts(farm: Farm) -> None:
    door = Door.open(farm)
    wrong = Door(farm, door.client, f"/upload/{'x' * 32}/{SUITE}")
    assert wrong.put("hello_1.0.dsc", b"x").status_code == 401
    assert Door(farm, door.client, door.path.replace(SUITE, "nowhere")).put("a.dsc", b"x").status_code == 404
    assert (
        Door(farm, door.client, f"/upload/{SUITE}").put("a.dsc", b"x").headers["www-authenticate"].startswith("Basic")
    )
    assert not dput.list_uploads(farm.hub)
    ask = UploaderAsk(name="bob", certificate=key_of("bob").public_key(), targets=(SUITE,))
    secret = uploaders.add_uploader(farm.hub, ADMIN, ask).secret
    bob = door.client.put(f"/upload/{SUITE}/hello_1.0.dsc", content=b"x", auth=("anything", secret or ""))
    assert bob.status_code == 201
    stolen = door.send(Sent.make(), changes=Sent.make().signed("bob"))
    assert "unknown key" in stolen.text, "bob's key does not open alice's path"
    uploaders.revoke_uploader(farm.hub, ADMIN, "alice")
    assert door.put("hello_1.0.dsc", b"x").status_code == 401
    assert [one.revoked for one in uploaders.list_uploaders(farm.hub)] == [True, False]


def test_an_uploader_has_one_secret_and_may_be_of_one_target(farm: Farm) -> None:
    old, new = Door.open(farm), Door.open(farm)
    assert old.put("a_1.dsc", b"x").status_code == 401
    assert new.put("a_1.dsc", b"x").status_code == 201
    other = model.Target(name="other", preset="debian-trixie", suite=SUITE, arches=("amd64",))
    targets.ensure_target(farm.hub, ADMIN, other)
    ask = UploaderAsk(name="alice", certificate=key_of("alice").public_key(), targets=("other",))
    secret = uploaders.add_uploader(farm.hub, ADMIN, ask).secret
    answer = new.client.put(f"/upload/{secret}/{SUITE}/a_1.dsc", content=b"x")
    assert answer.status_code == 403
    assert "alice may not upload for trixie-local (but for other)" in answer.text


def test_a_target_takes_other_names_and_what_waits_is_bounded(farm: Farm, monkeypatch: pytest.MonkeyPatch) -> None:
    door = Door.open(farm)
    sent = Sent.make()
    sent.fields = {"Distribution": "unstable"}
    assert door.send(sent).status_code == 422
    uploaders.set_distributions(farm.hub, ADMIN, SUITE, Distributions(names=("unstable", "trixie")))
    assert uploaders.get_distributions(farm.hub, SUITE).names == ("trixie", "unstable")
    assert door.send(sent).status_code == 201
    monkeypatch.setattr(dput, "MAX_FILES", 2)
    assert [door.put(f"a_{n}.dsc", b"x").status_code for n in range(3)] == [201, 201, 422]
    with farm.hub.db.write() as db:
        db.execute(sa.update(upload_file).values(at=0))
    assert door.put("a_3.dsc", b"x").status_code == 201, "what waited a day is dropped"


def test_a_secret_key_is_no_certificate(farm: Farm) -> None:
    for text in ("nonsense", "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nAAAA\n-----END PGP PUBLIC KEY BLOCK-----\n"):
        with pytest.raises(Failure):
            uploaders.add_uploader(farm.hub, ADMIN, UploaderAsk(name="x", certificate=text))
    assert not uploaders.list_uploaders(farm.hub)
