"""Debian's own sbuild, run for comparison: trixie's, in unshare mode, inside a sandbox of debroot."""

from __future__ import annotations

import hashlib
from pathlib import Path

from deb_mock.config import choose
from deb_mock.interactive import open_dependencies
from debroot.bootstrap import tools_root
from debroot.idmap import IdMap
from debroot.sandbox import Bind, Sandbox, run_in
from debroot.store import Layer, Store

PACKAGES = ("sbuild", "mmdebstrap", "uidmap", "fakeroot", "mount", "iproute2")
#: sbuild runs as a user of its own with a second range of ids, for the namespace that it makes in ours.
SCRIPT = """set -eu
echo 'tester:x:2000:2000::/srv/home:/bin/sh' >> /etc/passwd
echo 'tester:x:2000:' >> /etc/group
echo tester:65536:65536 > /etc/subuid
echo tester:65536:65536 > /etc/subgid
mkdir -p /srv/home /srv/tmp
chmod 1777 /srv/tmp
chown 2000:2000 /srv/home
cp /in/source/* /srv/home/
cd /srv/home
exec setpriv --reuid=2000 --regid=2000 --clear-groups \\
    env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/srv/home TMPDIR=/srv/tmp LOGNAME=tester USER=tester \\
    sbuild --dist=trixie --chroot-mode=unshare --chroot=/in/chroot.tar --build-dep-resolver=null \\
    --no-apt-update --no-apt-upgrade --no-apt-distupgrade --no-apt-clean --arch-all \\
    --no-run-lintian --no-run-piuparts --no-run-autopkgtest \\
    --build-path=/build/reproducible-path --nolog --verbose "$1"
"""


def build_with_sbuild(store: Store, dsc: Path, scratch: Path) -> dict[str, str]:
    """Name → sha256 of the .debs that sbuild makes of *dsc*, in a chroot of exactly the packages that we would use."""
    tools = tools_root(store, packages=PACKAGES)
    layer, _ = open_dependencies(store, choose(preset="debian-trixie-amd64"), str(dsc))
    tarball = scratch / "chroot.tar"
    write_chroot(store, layer, tarball)
    with store.throwaway() as upper:
        box = Sandbox(
            lowers=tools.lowers(),
            upper=upper,
            binds=(Bind(source=tarball, target="/in/chroot.tar"), Bind(source=dsc.parent, target="/in/source")),
        )
        ids = IdMap(store.idmap.first, 2 * store.idmap.count)
        done = run_in(box, ["sh", "-c", SCRIPT, "sh", dsc.name], idmap=ids, check=False, capture=True)
        assert b"\nStatus: successful\n" in done.stdout, done.text[-3000:] + done.stderr.decode()[-2000:]
        debs = sorted((upper / "srv" / "home").glob("*.deb"))
        return {deb.name: hashlib.sha256(deb.read_bytes()).hexdigest() for deb in debs}


def write_chroot(store: Store, layer: Layer, tarball: Path) -> None:
    """The whole tree of *layer* as a tar file that anybody may read."""
    argv = ["tar", "-C", "/", "--one-file-system", *(f"--exclude=./{name}/*" for name in ("proc", "sys", "dev"))]
    with tarball.open("wb") as file:
        run_in(Sandbox(lowers=layer.lowers(), tmpfs=()), [*argv, "-cf", "-", "."], idmap=store.idmap, stdout=file)
    tarball.chmod(0o644)
