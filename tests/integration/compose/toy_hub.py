"""What `deb-orchestrator up` looks like from outside: answers /health, tells when it is ready, ends with its lifetime.

Usage: toy_hub.py --state DIR --port 0 --ready-fd N --lifetime-fd N
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = json.dumps({"ok": True, "version": "0", "api": [1]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Silence."""


def main() -> None:
    words = dict(zip(sys.argv[1::2], sys.argv[2::2], strict=True))
    state = Path(words["--state"])
    state.mkdir(exist_ok=True)
    if (state / "broken").exists():
        sys.exit("toy hub: its disk is on fire")
    with (state / "starts").open("a") as file:
        file.write(f"{os.getpid()}\n")
    (state / "token").write_text("secret\n")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    line = {"url": f"http://127.0.0.1:{server.server_port}", "token_file": str(state / "token"), "state": str(state)}
    ready = int(words["--ready-fd"])
    os.write(ready, json.dumps(line).encode() + b"\n")
    os.close(ready)
    while os.read(int(words["--lifetime-fd"]), 4096):
        pass
    (state / "leaving").touch()
    time.sleep(float((state / "linger").read_text()) if (state / "linger").exists() else 0)


if __name__ == "__main__":
    main()
