"""Mock's command lines as ours: what they amount to, that ours can be parsed, and what refuses names our word."""

from __future__ import annotations

import shlex

import click
import pytest

from deb_mock.cli import VERBS as OURS
from deb_mock.cli import Front, group
from deb_mock.mock.table import OPTIONS, VERBS
from debcore.cli import LazyGroup

assert isinstance(group, Front)
EXAMPLES = [
    ("-r debian-trixie-amd64 x.dsc", ["build -r debian-trixie-amd64 x.dsc"]),
    ("x.dsc", ["build x.dsc"]),
    (".", ["build ."]),
    ("https://example.org/x.dsc", ["build https://example.org/x.dsc"]),
    ("-d trixie", ["build -d trixie"]),
    ("-d trixie -A -s -j4 --host=arm64 --profiles nodoc x.dsc",
     ["build -d trixie -A -s -j4 --host=arm64 --profiles nodoc x.dsc"]),
    ("-r sid --rebuild a.dsc ./b", ["build -r sid a.dsc", "build -r sid ./b"]),
    ("--rebuild --nocheck -nN --enable-network --rpmbuild_timeout=90 x.dsc",
     ["build --profile nocheck -n --keep-failed --set 'build.online=[\"build\"]' --set limits.time=90 x.dsc"]),
    ("--rebuild --resultdir out --postinstall -v --uniqueext me x.dsc",
     ["build --resultdir out --check install --verbose x.dsc"]),
    ("--rebuild --enable-plugin ccache --plugin-option ccache:max_size=1G --disable-plugin=hw_info x.dsc",
     ["build --enable-plugin ccache --plugin-option ccache:max_size=1G --disable-plugin hw_info x.dsc"]),
    ("--additional-package git --nocheck --additional-package=gdb x.dsc",
     ["build --set root.packages=git,gdb --profile nocheck x.dsc"]),
    ("--offline --locked LOCK x.dsc", ["build --offline --locked LOCK x.dsc"]),
    ("--chain a.dsc b.dsc --localrepo D --recurse -c --plugin-option ccache:max_size=1G",
     ["chain --resultdir D --recurse --continue --set plugins.ccache.max_size=1G a.dsc b.dsc"]),
    ("--init -rsid", ["clean --named -r sid", "init -r sid"]),
    ("--init -n", ["init"]),
    ("--init -r sid --uniqueext me", ["clean --named -r sid --root sid-me", "init -r sid --root sid-me"]),
    ("create", ["clean --named", "init"]),
    ("--install gdb ./mine.deb -q", ["install gdb ./mine.deb"]),
    ("-r sid -i gdb", ["install -r sid gdb"]),
    ("--installdeps hostname", ["apt -- build-dep hostname"]),
    ("--pm-cmd policy gdb", ["apt -- policy gdb"]),
    ("--remove gdb --json", ["remove --json gdb"]),
    ("--update", ["update"]),
    ("--shell", ["shell -n"]),
    ("--shell --unpriv", ["shell -n --user"]),
    ("--shell -- ls -l", ["run -n --as-root -- ls -l"]),
    ("--chroot id", ["run -n --as-root -- id"]),
    ("chroot id", ["run -n --as-root -- id"]),
    ("--chroot 'ls -l /'", ["run -n --as-root -- sh -c 'ls -l /'"]),
    ("--chroot --unpriv --cwd /srv -- make -C sub --clean",
     ["run -n -- sh -c 'cd \"$1\" && shift && exec \"$@\"' sh /srv make -C sub --clean"]),
    ("execute id", ["run --as-root -- id"]),
    ("login", ["shell"]),
    ("--copyin file /srv", ["copyin file /srv"]),
    ("--copyout --uniqueext me /srv/file .", ["copyout --root me /srv/file ."]),
    ("--snapshot before", ["snapshot before"]),
    ("--rollback-to before", ["rollback before"]),
    ("--remove-snapshot before", ["snapshot --remove before"]),
    ("--list-snapshots", ["snapshot --list"]),
    ("-r sid -l", ["snapshot --list -r sid"]),
    ("--clean", ["clean --named"]),
    ("--scrub=all", ["scrub all"]),
    ("-r sid --scrub root-cache", ["scrub -r sid root-cache"]),
    ("--scrub=dnf-cache", ["scrub apt-cache"]),
    ("--scrub-all-chroots -q --json", ["scrub all --json"]),
    ("--list-chroots -r sid", ["list presets"]),
    ("--debug-config -r sid", ["config show --origin -r sid"]),
    ("--calculate-build-dependencies --resultdir out x.dsc", ["lock -o out/buildroot_lock.json x.dsc"]),
    ("--buildsrpm --resultdir out ./hello", ["source --resultdir out ./hello"]),
    ("--cleanup-after --no-bootstrap-chroot x.dsc", ["build x.dsc"]),
    ("--shell --help", ["shell -n --help"]),
]  # fmt: skip


@pytest.mark.parametrize(("typed", "expected"), EXAMPLES, ids=[typed for typed, _ in EXAMPLES])
def test_a_line_of_mock_is_lines_of_ours_that_click_understands(typed: str, expected: list[str]) -> None:
    lines = group.understand(shlex.split(typed))
    assert [shlex.join(line) for line in lines] == expected
    for line in lines:
        if "--help" not in line:
            parse(group, line)


def parse(command: click.Command, words: list[str]) -> None:
    """As Click does before it calls a verb. Errors: UsageError."""
    while isinstance(command, click.Group):
        found = command.get_command(click.Context(command), words[0])
        assert found is not None
        command, words = found, words[1:]
    command.make_context("x", list(words))


REFUSED = [
    ("--rebuild x.buildinfo", "deb-mock rebuild x.buildinfo"),
    ("--mount", "deb-mock shell"),
    ("-p", "copyout"),
    ("--orphanskill", "deb-mock clean"),
    ("--hermetic-build lock.json repo x.dsc", "--locked LOCK --offline"),
    ("--scm-enable", "deb-mock build https://"),
    ("--dnf-cmd search gdb", "deb-mock apt"),
    ("-r fedora.cfg --init", "is not executed: deb-mock list presets"),
    ("--root sid --shell", "-r PRESET"),
    ("--config-opts x=y x.dsc", "--set KEY=VALUE"),
    ("--isolation=simple --shell", "leave it out"),
    ("--shell --nocheck", "means nothing with --shell"),
    ("--install gdb --enable-network", "means nothing with --install"),
    ("--installdeps ./x.dsc", "deb-mock shell --build-deps"),
    ("--init --shell", "one at a time"),
    ("--scrub-all-chroots -r sid", "-r PRESET --scrub=all"),
    ("--scrub-all-chroots --rootdir /srv", "DEBOOTC_STORE"),
    ("--rebuild a.dsc b.dsc --resultdir out", "deb-mock chain"),
    ("--rebuild --resultdri out x.dsc", "did you mean --resultdir"),
    ("--short-circuit install x.dsc", "deb-mock resume --from"),
    ("-r", "needs NAME"),
]


@pytest.mark.parametrize(("typed", "says"), REFUSED, ids=[typed for typed, _ in REFUSED])
def test_what_means_something_else_names_our_word(typed: str, says: str) -> None:
    with pytest.raises(click.UsageError) as caught:
        group.understand(shlex.split(typed))
    assert says in str(caught.value)


def test_words_after_a_verb_that_takes_none_are_not_lost() -> None:
    [line] = group.understand(["--scrub-all-chroots", "sid"])
    with pytest.raises(click.UsageError):
        parse(group, line)


@pytest.mark.parametrize("verb", OURS)
def test_our_verbs_are_never_translated(verb: str) -> None:
    words = [verb, "--shell", "-r", "x"]
    assert group.understand(words) == [words]


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"], ["--version"], ["biuld"]])
def test_what_is_nobodys_is_left_to_click(words: list[str]) -> None:
    assert group.understand(words) == [words]


def test_every_name_has_one_meaning_and_each_is_used() -> None:
    names = [name for verb in VERBS for name in verb.names] + [name for option in OPTIONS for name in option.names]
    assert len(names) == len(set(names))
    known = {*OURS, "*"}
    assert {verb for option in OPTIONS for verb in option.becomes} <= known
    assert {verb.ours[0] for verb in VERBS if verb.kind == "works"} <= known
    assert all(option.becomes for option in OPTIONS if option.kind == "works")


def test_lines_run_until_one_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[list[str]] = []

    def note(_self: click.Group, args: list[str], *_rest: object, **_more: object) -> int:
        ran.append(args)
        return 4 if "b.dsc" in args else 0

    monkeypatch.setattr(LazyGroup, "main", note)
    assert group.main(["--rebuild", "a.dsc", "b.dsc", "c.dsc"], standalone_mode=False) == 4
    assert ran == [["build", "a.dsc"], ["build", "b.dsc"]]
