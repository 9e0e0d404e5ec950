"""Which paths dpkg installs where documentation and languages are chosen."""

from __future__ import annotations

import fnmatch
from typing import get_args

import pytest

from deb_bootc_compose.manifest.model import Documentation
from deb_bootc_compose.tree import leftout, stages
from deb_bootc_compose.tree.leftout import make_filters, names_of

PATHS = {
    "copyright": "/usr/share/doc/a/copyright", "changelog": "/usr/share/doc/a/changelog.Debian.gz",
    "news": "/usr/share/doc/a/NEWS.gz", "readme": "/usr/share/doc/a/README", "man": "/usr/share/man/man1/a.1.gz",
    "man.de": "/usr/share/man/de/man1/a.1.gz", "man.fr": "/usr/share/man/fr/man1/a.1.gz",
    "info": "/usr/share/info/a.info.gz", "help": "/usr/share/help/C/a/index.page",
    "help.fr": "/usr/share/help/fr/a/index.page", "lintian": "/usr/share/lintian/overrides/a",
    "alias": "/usr/share/locale/locale.alias", "de": "/usr/share/locale/de/LC_MESSAGES/a.mo",
    "de_AT": "/usr/share/locale/de_AT/LC_MESSAGES/a.mo", "fr": "/usr/share/locale/fr/LC_MESSAGES/a.mo",
    "program": "/usr/bin/a", "data": "/usr/share/a/doc/man",
}  # fmt: skip
DOCUMENTS = {
    "copyright",
    "changelog",
    "news",
    "readme",
    "man",
    "man.de",
    "man.fr",
    "info",
    "help",
    "help.fr",
    "lintian",
}
FRENCH = {"man.fr", "help.fr", "fr"}


def installed(filters: tuple[str, ...]) -> set[str]:
    """dpkg's rule: the last filter that matches counts; `*` matches a slash."""
    found = set()
    for name, path in PATHS.items():
        matching = [line.partition("=") for line in filters if fnmatch.fnmatchcase(path, line.partition("=")[2])]
        if not matching or matching[-1][0] == "path-include":
            found.add(name)
    return found


def test_everything_is_kept_unless_something_is_said() -> None:
    assert make_filters(None, ()) == ()
    assert installed(()) == set(PATHS)


@pytest.mark.parametrize(
    ("keep", "kept"),
    [
        ((), {"copyright"}),
        (("copyright", "changelogs"), {"copyright", "changelog", "news"}),
        (("doc",), {"copyright", "readme"}),
        (("doc", "changelogs"), {"copyright", "readme", "changelog", "news"}),
        (("man", "info"), {"copyright", "man", "man.de", "man.fr", "info"}),
        (("help", "lintian"), {"copyright", "help", "help.fr", "lintian"}),
    ],
)
def test_copyright_is_always_kept(keep: tuple[str, ...], kept: set[str]) -> None:
    assert installed(make_filters({"keep": keep}, ())) == set(PATHS) - DOCUMENTS | kept


def test_only_the_languages_that_are_named() -> None:
    assert installed(make_filters(None, ("de_DE.UTF-8",))) == set(PATHS) - FRENCH - {"de_AT"}
    assert installed(make_filters(None, ("C.UTF-8",))) == set(PATHS) - FRENCH - {"de", "de_AT", "man.de"}
    both = installed(make_filters({"keep": ()}, ("de_AT", "fr")))
    assert both == {"copyright", "alias", "de", "de_AT", "fr", "program", "data"}, (
        "no manual comes back by its language"
    )


def test_names_are_those_that_gettext_tries() -> None:
    assert names_of("C.UTF-8") == names_of("POSIX") == []
    assert names_of("de") == ["de"]
    assert set(names_of("sr_RS.UTF-8@latin")) == {
        f"sr{c}{k}{m}" for c in ("", "_RS") for k in ("", ".UTF-8", ".utf8") for m in ("", "@latin")
    }


def test_stages_without_filters_keep_their_names() -> None:
    assert stages.make_filters_key(()) == {}
    assert stages.make_filters_key(make_filters({"keep": ()}, ()))["dpkg_options"]


def test_every_kind_that_a_manifest_may_name_is_somewhere() -> None:
    assert {*leftout.PLACES, "copyright", "changelogs", "doc"} == {*get_args(Documentation)}
