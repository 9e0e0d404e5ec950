"""The API is as its OpenAPI document says, whatever it is sent: Schemathesis against a hub."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from debcore.command import run
from debcore.hub.client import HubClient
from debcore.hub.credential import load_token
from tests.integration.orchestrator.stack import Stack
from tests.unit.orchestrator.services.farm import SUITE

CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
#: Never ends by itself.
ENDLESS = "/api/v1/events/stream"
HOOKS = '''
import schemathesis

@schemathesis.hook
def before_call(context, case, kwargs):
    """No call of ours is to wait for things to happen."""
    if isinstance(case.query, dict):
        case.query.pop("wait", None)
    if isinstance(case.body, dict) and "wait" in case.body:
        case.body["wait"] = 0
'''


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("phase", ["coverage", "fuzzing"])
def test_the_api_is_what_its_document_says(stack: Stack, tmp_path: Path, phase: str) -> None:
    _, up = stack.start_ready("hub", "--state", tmp_path / "state", "--port", "0")
    token = load_token(Path(up["token_file"]))
    with HubClient(up["url"], token) as client:
        client.ensure_target(SUITE, "debian-trixie")
        client.http.call("GET", "/api/v1/openapi.json", timeout=120)  # made once; Schemathesis waits 10 s for it
    (tmp_path / "hooks.py").write_text(HOOKS)
    program = Path(sys.executable).with_name("schemathesis")
    argv: list[str | Path] = [program, "run", f"{up['url']}/api/v1/openapi.json", "--exclude-path", ENDLESS]
    argv += ["-H", f"Authorization: Bearer {token}", "--checks", CHECKS, "--phases", phase, "--seed", "1"]
    argv += ["--max-examples", "10", "--request-timeout", "120", "--continue-on-failure", "--no-color"]
    env = {"SCHEMATHESIS_HOOKS": "hooks", "PYTHONPATH": str(tmp_path)}
    done = run(argv, check=False, cwd=tmp_path, extra_env=env, timeout=3000)
    assert done.status == 0, done.text[-20_000:]
    assert "generated" in done.text
