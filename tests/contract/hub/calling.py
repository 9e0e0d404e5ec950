"""Stands for debcore.http.Http on an application in this process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from fastapi.testclient import TestClient

from debcore.http import Answer, HttpFailure


class InProcess:
    def __init__(self, app: TestClient) -> None:
        self._app = app
        self.base_url = "http://127.0.0.1"

    def call(self, method: str, path: str, **options: Any) -> Answer:
        content = options.pop("content", None)
        for name in ("timeout", "repeat", "max_size"):
            options.pop(name, None)
        data = content.read_bytes() if isinstance(content, Path) else content
        answer = self._app.request(method, path, content=data, **options)
        if answer.status_code >= 400:
            raise HttpFailure(answer.status_code, answer.text)
        return Answer(answer.status_code, dict(answer.headers), answer.content)

    def json(self, method: str, path: str, **options: Any) -> Any:
        body = self.call(method, path, **options).body
        return json.loads(body) if body else None
