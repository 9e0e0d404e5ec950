"""Provenance of a build: an in-toto statement with SLSA's provenance as its predicate, beside the .buildinfo.

Everything in it but the two times follows from the inputs. docs/reference/provenance.md describes the build type.
Source: https://in-toto.io/Statement/v1, https://slsa.dev/provenance/v1.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from urllib.parse import quote

from deb_mock import tool_version
from deb_mock.dsc import Dsc
from deb_mock.order import Order
from debcore.job import JobDirectory, Lock, Output
from debcore.path import write_file

STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://slsa.dev/provenance/v1"
BUILD_TYPE = "urn:deb-bootc-ecosystem:deb-mock:build:v1"
BUILDER = "urn:deb-bootc-ecosystem:deb-mock:builder"
#: What a statement is about: the results that others use.
SUBJECTS = ("deb", "udeb", "dsc", "source")


def write_provenance(order: Order, dsc: Dsc, lock: Lock, outputs: Sequence[Output], started_at: datetime) -> Output:
    """Write the statement into the order's directory, named as the .buildinfo is."""
    buildinfo = next((output.path for output in outputs if output.kind == "buildinfo"), f"{dsc.source}.buildinfo")
    name = f"{buildinfo.removesuffix('.buildinfo')}.provenance.json"
    statement = make_statement(
        order,
        dsc.path.read_bytes(),
        dsc,
        lock,
        outputs,
        started_at=started_at,
        finished_at=datetime.now(started_at.tzinfo),
    )
    write_file(order.directory / name, json.dumps(statement) + "\n")
    return JobDirectory(order.directory).output(name)


def envelope_name(statement: str) -> str:
    """Of the signed statement whose file is *statement*: in-toto's name for envelopes, one on a line."""
    return f"{statement.removesuffix('.provenance.json')}.intoto.jsonl"


def make_statement(
    order: Order,
    dsc_text: bytes,
    dsc: Dsc,
    lock: Lock,
    outputs: Sequence[Output],
    *,
    started_at: datetime,
    finished_at: datetime,
) -> dict[str, Any]:
    """Pure."""
    build, who = order.choice.settings.build, order.identity
    return {
        "_type": STATEMENT,
        "subject": [
            {"name": output.path, "digest": {"sha256": output.sha256}}
            for output in sorted(outputs, key=lambda output: output.path)
            if output.kind in SUBJECTS
        ],
        "predicateType": PREDICATE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": {
                    "source": {"name": dsc.source, "version": dsc.version},
                    "architecture": order.choice.host_arch,
                    "type": build.type,
                    "profiles": list(build.profiles),
                    "options": list(build.options),
                    "distribution": order.distribution,
                },
                "internalParameters": {
                    "preset": order.choice.preset.name,
                    "suite": order.choice.suite,
                    "buildArchitecture": order.choice.arch,
                    "buildPath": order.surroundings.directory,
                    "online": list(build.online),
                },
                "resolvedDependencies": [*_sources(dsc_text, dsc), *_packages(lock)],
            },
            "runDetails": {
                "builder": {"id": BUILDER, "version": {"deb-mock": tool_version()}},
                "metadata": {
                    "invocationId": f"{who.job}/{who.attempt}",
                    "startedOn": _stamp(started_at),
                    "finishedOn": _stamp(finished_at),
                },
                "byproducts": [{"name": "lock.json", "digest": {"sha256": lock.sha256}}],
            },
        },
    }


def _sources(dsc_text: bytes, dsc: Dsc) -> list[dict[str, Any]]:
    uri = f"pkg:deb/debian/{quote(dsc.source)}@{quote(dsc.version, safe='')}?arch=source"
    files = {dsc.name: hashlib.sha256(dsc_text).hexdigest(), **{file.name: file.sha256 for file in dsc.files}}
    return [{"name": name, "uri": uri, "digest": {"sha256": digest}} for name, digest in sorted(files.items())]


def _packages(lock: Lock) -> list[dict[str, Any]]:
    """Package URLs as the purl specification has them for type deb."""
    return [
        {
            "name": package.name,
            "uri": f"pkg:deb/debian/{quote(package.name)}@{quote(package.version, safe='')}?arch={package.arch}",
            "digest": {"sha256": package.sha256},
            "annotations": {"role": package.role},
        }
        for package in sorted(lock.packages, key=lambda p: (p.name, p.arch))
    ]


def _stamp(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")
