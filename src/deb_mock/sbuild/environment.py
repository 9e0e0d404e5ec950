"""Which variables of the caller reach the build: those that a .buildinfo records, as in sbuild.

Source: sbuild.conf(5), environment_filter; deb-buildinfo(5), Environment.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_TOOLS = [
    "AR",
    "AS",
    "AWK",
    "CC",
    "CPP",
    "CXX",
    "FC",
    "LD",
    "LEX",
    "M2C",
    "MAKE",
    "OBJC",
    "OBJCXX",
    "PC",
    "RANLIB",
    "YACC",
]
_FLAGS = ["AR", "AS", "C", "CPP", "CXX", "D", "F", "FC", "GCJ", "LD", "OBJC", "OBJCXX"]
_OTHERS = ["LANG", "LANGUAGE", "LD_LIBRARY_PATH", "LD_PRELOAD", "MAKEFLAGS", "SOURCE_DATE_EPOCH", "TZ", "YACC"]
#: LC_ALL is always C.UTF-8, as in sbuild. `DEB_*`: vendor, flags, profiles, options.
ALLOWED = re.compile(
    rf"DEB_[A-Z_]+|(?:{'|'.join(_TOOLS)})(?:_FOR_BUILD)?|(?:{'|'.join(_FLAGS)})FLAGS(?:_FOR_BUILD)?"
    rf"|LC_(?!ALL$)[A-Z]+|{'|'.join(_OTHERS)}"
)


def pass_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The part of *environment* that a build sees."""
    return {name: value for name, value in sorted(environment.items()) if ALLOWED.fullmatch(name)}
