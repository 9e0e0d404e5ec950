"""The whole path with the real deb-mock: `up`, a package of the archive, the suite, apt in a clean root."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from debcore.command import run
from debroot.bootstrap import host_arch, open_root
from debroot.sandbox import Bind, Sandbox, run_in
from debroot.sources import find_host_sources
from debroot.store import Store
from tests.integration.orchestrator.stack import PROGRAM, Stack, client_of

pytestmark = [pytest.mark.root, pytest.mark.timeout(900)]

BIN = Path(PROGRAM[0]).parent

APT = """\
set -eu
rm -f /etc/apt/sources.list /etc/apt/sources.list.d/*
cp /work/key.asc /etc/apt/trusted.gpg.d/local.asc
echo "deb $URL trixie-local main" >/etc/apt/sources.list.d/local.list
echo 'APT::Sandbox::User "root";' >/etc/apt/apt.conf.d/99test
apt-get update
apt-get install -y --allow-downgrades hostname
dpkg-query -W -f '${Version}\\n' hostname
"""


#: Of whoever asks for the build.
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def find_loggers(text: str, trace: str) -> set[str]:
    """Who has logged something with that trace."""
    lines = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    return {line["logger"] for line in lines if line.get("trace") == trace}


def test_a_real_package_is_built_published_and_installed(
    stack: Stack, tmp_path: Path, store_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.environ["DEBOOTC_STORE"] = str(store_dir)
    monkeypatch.setenv("DEBOOTC_LOG_FORMAT", "json")
    monkeypatch.setenv("DEBOOTC_DEBUG", "1")
    state = tmp_path / "state"
    up, told = stack.start_ready("up", "--state", state, real=True)
    made = run([BIN / "deb-mock", "source", "hostname", "-r", "debian-trixie-amd64", "--append-version=+hub1",
                "--resultdir", tmp_path, "--json"])  # fmt: skip
    dsc = json.loads(made.text)["dsc"]
    environment = {"DEBOOTC_HUB": told["url"], "DEBOOTC_TOKEN_FILE": told["token_file"]}
    environment["TRACEPARENT"] = f"00-{TRACE}-00f067aa0ba902b7-01"
    built = run([*PROGRAM, "build", dsc, "--target", "trixie-local", "--json"], extra_env=environment, check=False)
    assert built.status == 0, (built.text, (state / "agent.log").read_text())
    with client_of(told) as client:
        suite = client.suite("trixie-local")
        (build,) = client.builds()
        log, complete = client.log(build.id, "amd64")
        assert complete
        assert b"dpkg-buildpackage" in log
        assert {artifact.kind for artifact in build.arches[0].artifacts} >= {
            "deb",
            "changes",
            "buildinfo",
            "lock",
            "log",
        }
        assert build.arches[0].trace == TRACE
        assert any(TRACE in reason.fact for reason in client.why(build.id))
        types = [event.type for event in client.events(request=build.request)]
    assert [type_ for type_ in types if type_ != "suite.changed"] == [
        "packages.needed", "build.requested", "environment.ready", "build.complete", "packages.ready"
    ]  # fmt: skip
    assert {"deb_orchestrator.web.watching", "deb_orchestrator.services.work"} <= find_loggers(up.text, TRACE)
    agent = find_loggers((state / "agent.log").read_text(), TRACE)
    assert "deb_orchestrator.agent.attempt" in agent
    assert any(name.startswith("agent.deb_mock") for name in agent), "deb-mock's own lines"
    assert "deb_orchestrator.signer.loop" in find_loggers((state / "signer.log").read_text(), TRACE)
    store = Store.open(store_dir)
    root = open_root(store, sources=find_host_sources("trixie"), suite="trixie", arch=host_arch(), variant="apt")
    work = tmp_path / "work"
    work.mkdir()
    (work / "key.asc").write_text(suite.key)
    (work / "script").write_text(APT)
    sandbox = Sandbox(
        lowers=root.lowers(), binds=(Bind(source=work, target="/work"),), network="host",
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive",
             "URL": suite.apt_uri, "HOME": "/root"},
    )  # fmt: skip
    done = run_in(sandbox, ["sh", "/work/script"], timeout=300, check=False, capture=True)
    assert done.status == 0, done.stdout + done.stderr
    assert done.text.splitlines()[-1] == build.version
    assert build.version.endswith("+hub1")
    assert up.stop() == 143
