"""Root for the binary targets of packages that ask for it: `Rules-Requires-Root: binary-targets`.

The build runs as the build user; a small server, root in the sandbox's own namespace, runs what dpkg-buildpackage
hands to its root command. Packages without the field get fakeroot, as sbuild gives them; the namespaced root does what
fakeroot only pretends: chown is real, and a package's own programs see it. Source: rootless-builds.txt of dpkg.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from deb_mock.transfer import write_bytes_tar
from deb_mock.workspace import Workspace
from debcore.errors import Failure
from debcore.path import inside

SOCKET = "/run/deb-mock-root"
#: Bytes of debian/control that are read.
MAX_CONTROL = 8 << 20

#: UID and GID in the server's text stand for the build user's.
#: Both speak one line of hexadecimal words over a UNIX socket: directory, environment, command; back: the status.
CLIENT_TEXT = f"""#!/usr/bin/perl
use strict; use warnings; use Cwd; use IO::Socket::UNIX;
my $s = IO::Socket::UNIX->new(Peer => '{SOCKET}') or die "gain-root: no server: $!\\n";
my @env = map {{ "$_=$ENV{{$_}}" }} sort keys %ENV;
print $s join(' ', map {{ unpack('H*', $_) . '.' }} getcwd(), scalar(@env), @env, @ARGV), "\\n";
$s->flush; my $status = <$s>; exit(defined $status ? $status : 255);
"""
SERVER_TEXT = f"""#!/usr/bin/perl
use strict; use warnings; use IO::Socket::UNIX; use POSIX ();
umask 0022;
my $l = IO::Socket::UNIX->new(Local => '{SOCKET}', Listen => 8, Timeout => 1) or die "gain-root: $!\\n";
chown UID, GID, '{SOCKET}'; chmod 0600, '{SOCKET}';
my $main = fork // die;
if (!$main) {{
    close $l; exec('setpriv', '--reuid=UID', '--regid=GID', '--clear-groups', '--', @ARGV) or POSIX::_exit(127);
}}
my $ended;
$SIG{{CHLD}} = sub {{ while ((my $pid = waitpid(-1, POSIX::WNOHANG())) > 0) {{ $ended = $? if $pid == $main }} }};
while (!defined $ended) {{
    my $c = $l->accept or next;
    next if fork // die;
    $SIG{{CHLD}} = 'DEFAULT'; close $l;
    my $line = <$c>; chomp $line;
    my ($dir, $n, @rest) = map {{ s/\\.$//r =~ s/(..)/chr hex $1/ger }} split / /, $line;
    my %env = map {{ split /=/, $_, 2 }} splice @rest, 0, $n;
    my $pid = fork // die;
    if (!$pid) {{ close $c; chdir $dir or POSIX::_exit(126); %ENV = %env; exec @rest or POSIX::_exit(127) }}
    waitpid $pid, 0;
    print $c ($? & 127 ? 128 + ($? & 127) : $? >> 8), "\\n"; close $c; POSIX::_exit(0);
}}
exit($ended & 127 ? 128 + ($ended & 127) : $ended >> 8);
"""


@dataclass(frozen=True)
class RootCommand:
    """`command` is dpkg-buildpackage's --root-command; `wrap` makes the command that runs with the server beside it."""

    command: str
    server: str

    def wrap(self, argv: Sequence[str]) -> list[str]:
        """To be started as root; *argv* itself runs as the build user."""
        return ["perl", self.server, *argv]


def needs_root(fields: Mapping[str, str], space: Workspace, tree: str) -> bool:
    """Whether debian/control of *tree* says `Rules-Requires-Root: binary-targets`; the .dsc does not carry it."""
    if fields.get("Rules-Requires-Root", "").strip():
        return fields["Rules-Requires-Root"].strip() == "binary-targets"
    control = Path(tree, "debian/control").relative_to(space.surroundings.mount)
    if (said := read_requires_root(space.build, control)) is not None:
        return said == "binary-targets"
    done = space.run(["sed", "-n", "/^$/q; s/^Rules-Requires-Root: *//Ip", f"{tree}/debian/control"], check=False)
    return done.text.strip() == "binary-targets"


def read_requires_root(build: Path, control: Path) -> str | None:
    """The field of the file *control* below *build*, "" if it has none; None if only a look from inside can tell: it is
    no plain file, or may not be read here."""
    try:
        fd = os.open(inside(build, control), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, Failure):
        return None
    with os.fdopen(fd, "rb") as file:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            return None
        source = file.read(MAX_CONTROL).partition(b"\n\n")[0].decode("utf-8", "replace")
    found = re.search(r"^Rules-Requires-Root: *(.*)$", source, re.M | re.I)
    return found[1].strip() if found else ""


@contextmanager
def root_command(space: Workspace) -> Iterator[RootCommand]:
    """Put server and client beside the source tree."""
    place = space.surroundings
    server = SERVER_TEXT.replace("UID", str(place.uid)).replace("GID", str(place.gid))
    files = {".gain-root": CLIENT_TEXT.encode(), ".gain-root-server": server.encode()}
    space.put(lambda stream: write_bytes_tar(files, stream))
    client = f"{place.directory}/.gain-root"
    space.run(["chmod", "0755", client])
    yield RootCommand(client, f"{client}-server")
