"""What a program of people does with the typed client, run by the Python of one version or another.

    client_script.py URL TOKEN-FILE TARGET DSC

Prints one JSON object. Only what the first release has.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import debcore
from debcore.hub.client import HubClient


def main(url: str, token_file: str, target: str, dsc: str) -> None:
    with HubClient(url, Path(token_file).read_text().strip()) as client:
        asked = client.submit(target, [Path(dsc)])
        ended = client.wait_request(asked.id, 240)
        build = client.build(ended.builds[0])
        log, whole = client.log(build.id, "amd64")
        assert whole
        assert b"building" in log
        assert target in {suite.name for suite in client.suites()}
        assert client.suite(target).generation > 0
        assert client.target(target).name == target
        assert client.builds(source=build.source)[0] == build
        events = [event.n for event in client.events(limit=1000)]
    print(json.dumps({
        "module": debcore.__file__, "request": asked.id, "state": ended.state, "build": build.id, "events": events,
    }))  # fmt: skip


if __name__ == "__main__":
    main(*sys.argv[1:])
