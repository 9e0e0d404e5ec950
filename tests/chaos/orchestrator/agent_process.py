"""An agent to be killed. What it did is in its ledger, outside the database: one JSON line each, synced before it acts.

Only the standard library, so that a killed one is back at once.
"""

from __future__ import annotations

import json
import os
import random
import secrets
import socket
import sys
import time
from pathlib import Path
from typing import Any

BEAT_S = 0.7
LEASE_S = 3
OUTCOMES = ["succeeded"] * 40 + ["failed", "host", "deps", "cancelled"]
ZOMBIES = 0.05  # attempts that sleep through their lease


def ask(hubs: list[str], request: dict[str, Any]) -> dict[str, Any]:
    """Ask any of *hubs* (sockets), again and again: requests are idempotent and answers get lost."""
    while True:
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(10)
                connection.connect(random.choice(hubs))
                connection.sendall(json.dumps(request).encode() + b"\n")
                with connection.makefile() as answers:
                    line = answers.readline()
            if line.endswith("\n"):
                reply: dict[str, Any] = json.loads(line)
                return reply
        except OSError:
            pass
        time.sleep(0.05)


class Agent:
    """`state` survives kill -9: what it holds, and the finish that was not acknowledged yet."""

    def __init__(self, number: int, directory: Path, hubs: list[str]) -> None:
        self.number = number
        self.boot = secrets.token_hex(8)
        self.hubs = hubs
        self.ledger = (directory / f"ledger-{number}").open("a")
        self.state_file = directory / f"state-{number}"
        self.pending: dict[str, Any] | None = None
        if self.state_file.exists():
            self.pending = json.loads(self.state_file.read_text())

    def run(self) -> None:
        while True:
            if self.pending is None:
                self.work()
            else:
                self.deliver()

    def work(self) -> None:
        claim_id, claimed = secrets.token_hex(16), None
        while claimed is None:
            reply = self.ask({"do": "claim", "agent": self.number, "claim": claim_id, "boot": self.boot, "held": []})
            if "refused" in reply:
                return
            claimed = reply["claimed"]
            if claimed is None:
                time.sleep(0.1)
        self.note(claimed, "claimed", grant=claimed[2])
        if not self.build(claimed):
            return
        finish = {"outcome": random.choice(OUTCOMES), "digest": secrets.token_hex(8), "attempt": claimed}
        self.note(claimed, "result", digest=finish["digest"], outcome=finish["outcome"])
        self.keep(finish)

    def build(self, claimed: list[Any]) -> bool:
        """Work for a while with beats; False if the attempt is over."""
        if random.random() < ZOMBIES:
            time.sleep(LEASE_S * 1.5)
            return True  # it does not know, and finishes
        until = time.monotonic() + random.expovariate(1 / 0.15)
        while time.monotonic() < until:
            time.sleep(min(BEAT_S, max(0, until - time.monotonic())))
            reply = self.ask({"do": "beat", "attempt": claimed})
            if "refused" in reply:
                self.note(claimed, "refused")
                return False
        return True

    def deliver(self) -> None:
        """Send the finish until it is answered; a new boot says that it holds the attempt."""
        assert self.pending is not None
        job, attempt, _ = self.pending["attempt"]
        held = {"do": "claim", "agent": self.number, "claim": secrets.token_hex(16), "boot": self.boot}
        reply = self.ask({**held, "held": [[job, attempt]]}) if random.random() < 0.3 else {}
        reply_to_finish = self.ask({"do": "finish", **self.pending})
        if "refused" in reply_to_finish:
            self.note(self.pending["attempt"], "refused", digest=self.pending["digest"])
        else:
            self.note(self.pending["attempt"], "acknowledged", digest=self.pending["digest"], **reply_to_finish)
        self.keep(None)
        if reply.get("claimed"):
            claimed = reply["claimed"]
            self.note(claimed, "claimed", grant=claimed[2])
            finish = {"outcome": "succeeded", "digest": secrets.token_hex(8), "attempt": claimed}
            self.note(claimed, "result", digest=finish["digest"], outcome="succeeded")
            self.keep(finish)

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        return ask(self.hubs, request)

    def note(self, claimed: list[Any], what: str, **more: Any) -> None:
        self.ledger.write(json.dumps({"job": claimed[0], "attempt": claimed[1], "what": what, **more}) + "\n")
        self.ledger.flush()
        os.fsync(self.ledger.fileno())

    def keep(self, finish: dict[str, Any] | None) -> None:
        temporary = self.state_file.with_suffix(".new")
        temporary.write_text(json.dumps(finish))
        temporary.replace(self.state_file)
        self.pending = finish


if __name__ == "__main__":
    Agent(int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]).run()
