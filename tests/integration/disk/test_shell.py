"""An image as it is, reached by ssh: who may come in and what it is called travels beside it, never in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from deb_bootc_compose.disk.image import Disk
from debcore.command import run
from tests.integration.compose.world import BIN
from tests.integration.disk.test_disk_boots import digest

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.timeout(3600)]

#: openssl passwd -6 -salt salt secret
HASHED = "$6$salt$egUxKNxDs8kPfh8iPMNcosMhb2eWah6d3R44JDm5Rj/j/XWR5E33QPd0YmHXoDHOIDR6kL5D3JcQcz0O8FHE00"
ASK = "hostname; getent shadow root | cut -d: -f2; ls /etc/ssh/ssh_host_*; findmnt -n -o OPTIONS /usr; cat; exit 7"


def test_a_command_by_ssh_in_a_machine_that_was_told_its_name_and_password(disk: Disk, tmp_path: Path) -> None:
    before = digest(disk.path)
    done = run(
        [BIN, "boot", disk.path, "--ssh", "--credential", "system.hostname=named",
         "--credential", f"passwd.hashed-password.root={HASHED}", "--", ASK],
        check=False, cwd=tmp_path, stdin=b"typed\n", timeout=1800,
    )  # fmt: skip
    print(done.stderr.decode())
    assert done.status == 7, done.stderr.decode()
    name, password, *keys, usr, typed = done.text.splitlines()
    assert (name, password, typed) == ("named", HASHED, "typed")
    assert keys == ["/etc/ssh/ssh_host_ed25519_key", "/etc/ssh/ssh_host_ed25519_key.pub"]  # RSA is slow to make
    assert "ro" in usr.split(",")
    assert digest(disk.path) == before
    assert (tmp_path / f"{disk.path.name}.console.log").stat().st_size > 0
