"""What a hub says to those who watch over it: every line well-formed, nothing for strangers, and rules that fit."""

from __future__ import annotations

import json
import logging
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from fastapi.testclient import TestClient

from deb_orchestrator.services import repos
from deb_orchestrator.services.measures import list_gauges
from deb_orchestrator.services.metrics import PREFIX, Gauge, Histogram, Metrics, Sample, make_labels
from deb_orchestrator.web.api.app import make_app
from debcore.hub.repos import SuiteSettings
from debcore.log import JsonFormatter
from debcore.trace import TRACE, AddTrace, make_traceparent, parse_traceparent, tracing
from tests.unit.orchestrator.services.farm import ADMIN, SUITE, Farm, only

from .conftest import make_token

MONITORING = Path(__file__).parents[4] / "packaging" / "monitoring"
_LABEL = r'[a-z_]+="(?:[^"\\\n]|\\["\\n])*"'
LINE = re.compile(rf"(?P<name>[a-z_]+)(?:\{{(?P<labels>{_LABEL}(?:,{_LABEL})*)\}})? (?P<value>-?[0-9.e+-]+)")
TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"


def scrape(farm: Farm) -> dict[str, float]:
    """Values by name and labels; each line must be one that Prometheus reads."""
    here = TestClient(make_app(farm.hub), base_url="http://127.0.0.1", client=("127.0.0.1", 5))
    answer = here.get("/metrics")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    found: dict[str, float] = {}
    kinds: dict[str, str] = {}
    for line in answer.text.splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split()
            assert name not in kinds, "a name has one block"
            kinds[name] = kind
        elif not line.startswith("# HELP "):
            match = LINE.fullmatch(line)
            assert match, line
            base = re.sub(r"_(bucket|sum|count)$", "", match["name"])
            assert kinds.get(match["name"]) == "gauge" or kinds.get(base) == "histogram", line
            key = f"{match['name']}{{{match['labels']}}}" if match["labels"] else match["name"]
            assert key not in found, line
            found[key] = float(match["value"])
    return found


def test_metrics_follow_the_farm(farm: Farm) -> None:
    before = scrape(farm)
    last = before[f"{PREFIX}events"]
    assert before[f'{PREFIX}agents{{kind="builder",state="away"}}'] == 1, "it has not asked yet"
    farm.ask(farm.add_source("hello"))
    asked = scrape(farm)
    assert asked[f'{PREFIX}queue_jobs{{pool="default",arch="amd64"}}'] == 1
    assert asked[f'{PREFIX}jobs{{kind="build",state="queued"}}'] == 1
    assert asked[f"{PREFIX}events"] > last
    farm.finish_well(farm.claim())  # type: ignore[arg-type]  # there is one
    farm.settle()
    after = scrape(farm)
    assert f'{PREFIX}queue_jobs{{pool="default",arch="amd64"}}' not in after
    assert after[f'{PREFIX}agents{{kind="builder",state="online"}}'] == 1
    assert after[f'{PREFIX}jobs_ended_last_hour{{kind="build",outcome="succeeded"}}'] == 1
    assert after[f'{PREFIX}suite_generation{{suite="{SUITE}"}}'] >= 2
    assert after[f'{PREFIX}hub_job_seconds_count{{kind="publish"}}'] >= 1


def test_claims_over_http_are_timed(farm: Farm, anybody: TestClient, admin: TestClient) -> None:
    from deb_orchestrator.services import agents
    from debcore.hub.model import AgentState, Enrol

    agents.enrol(farm.hub, Enrol(name="far", token="t" * 43, arches=("amd64",)), state=AgentState.APPROVED)
    farm.ask(farm.add_source("hello"))
    headers = {"Authorization": f"Bearer {'t' * 43}"}
    ask = {"claim_id": "c" * 16, "boot_id": "b" * 16, "wait": 0}
    for _ in range(2):
        assert anybody.post("/api/v1/jobs/claim", json=ask, headers=headers).status_code == 200
    text = farm.hub.metrics.render([])
    assert f"{PREFIX}claim_seconds_count 2" in text
    assert f'{PREFIX}enqueue_to_start_seconds_count{{kind="build"}} 1' in text, "asked again, it is the same start"
    route = 'route="/api/v1/jobs/claim",method="POST",status="200"'
    assert f"{PREFIX}http_request_seconds_count{{{route}}} 2" in text, text


def test_strangers_get_no_metrics_and_no_names_of_private_suites(farm: Farm, anybody: TestClient) -> None:
    repos.set_settings(farm.hub, ADMIN, SUITE, SuiteSettings(private=True))
    here = TestClient(make_app(farm.hub), base_url="http://127.0.0.1", client=("127.0.0.1", 5))
    assert anybody.get("/metrics").status_code == 401
    assert here.get("/metrics", headers={"X-Forwarded-For": "192.0.2.1"}).status_code == 401
    for scope, status in (("client", 403), ("admin", 200)):
        token = {"Authorization": f"Bearer {make_token(farm, scope)}"}
        assert anybody.get("/metrics", headers=token).status_code == status


def test_health_looks_at_nothing_and_readiness_at_what_is_needed(
    farm: Farm, anybody: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    ready = anybody.get("/readyz")
    assert (ready.status_code, ready.json()["ready"]) == (200, True)
    assert ready.json()["checks"] == {"database": "ok", "store": "ok", "signer": "none is approved"}
    incoming = farm.hub.blobs.root / "incoming"
    incoming.rename(incoming.with_name("away"))
    broken = anybody.get("/readyz")
    incoming.with_name("away").rename(incoming)
    assert (broken.status_code, broken.json()["checks"]["store"]) == (503, "it cannot be written")

    def fail() -> None:
        raise OSError("the database is away")

    monkeypatch.setattr(type(farm.hub.db), "write", lambda _self: fail())
    away = anybody.get("/readyz")
    assert (away.status_code, away.json()["checks"]["database"]) == (503, "it does not answer")
    assert anybody.get("/healthz").text == "ok\n"


def test_what_others_wrote_breaks_no_line() -> None:
    evil = 'a"} 1\nfake{x="\\'
    text = Metrics().render([Gauge("x", "words", [Sample(1.5, make_labels({"suite": evil}))])])
    (line,) = [one for one in text.splitlines() if not one.startswith("#")]
    assert LINE.fullmatch(line), line
    histogram = Histogram("h", "words", (1.0, 2.0))
    for seconds in (0.5, 1.0, 1.5, 99):
        histogram.observe(seconds, kind="a")
    values = [line.rsplit(" ", 1)[1] for line in histogram.lines() if not line.startswith("#")]
    assert values == ["2", "3", "4", "102", "4"]


@pytest.mark.parametrize(
    ("text", "trace"),
    [
        (f"00-{TRACE_ID}-00f067aa0ba902b7-01", TRACE_ID),
        (f"cc-{TRACE_ID}-00f067aa0ba902b7-01-more", TRACE_ID),
        (f"00-{TRACE_ID}-00f067aa0ba902b7-01-more", ""),
        (f"ff-{TRACE_ID}-00f067aa0ba902b7-01", ""),
        (f"00-{'0' * 32}-00f067aa0ba902b7-01", ""),
        (f"00-{TRACE_ID}-{'0' * 16}-01", ""),
        (f"00-{TRACE_ID.upper()}-00f067aa0ba902b7-01", ""),
        ("", ""),
        ("x" * 10_000, ""),
    ],
)
def test_a_traceparent_is_read_as_w3c_says(text: str, trace: str) -> None:
    assert parse_traceparent(text) == trace


def test_a_call_keeps_its_callers_trace_and_the_log_has_it(
    anybody: TestClient, client: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.handler.addFilter(AddTrace())
    caplog.set_level(logging.DEBUG, logger="deb_orchestrator.web.watching")
    given = {"traceparent": make_traceparent(TRACE_ID)}
    answer = client.get("/api/v1/builds/7", headers=given)
    assert parse_traceparent(answer.headers["traceparent"]) == TRACE_ID
    assert answer.headers["traceparent"] != given["traceparent"], "with a span of its own"
    (record,) = caplog.records
    line: dict[str, Any] = json.loads(JsonFormatter().format(record))
    assert (line["trace"], line["route"], line["status"]) == (TRACE_ID, "/api/v1/builds/{id_}", 404)
    assert "/builds/7" not in json.dumps(line), "no path: it may hold a secret"
    others = {parse_traceparent(anybody.get("/healthz").headers["traceparent"]) for _ in range(2)}
    assert len(others) == 2
    assert "" not in others
    assert TRACE.get() == ""


def test_dashboard_and_alerts_ask_for_what_there_is(farm: Farm) -> None:
    board = json.loads((MONITORING / "grafana-dashboard.json").read_text())
    rules = yaml.safe_load((MONITORING / "prometheus-alerts.yml").read_text())
    alerts = [rule for group in rules["groups"] for rule in group["rules"]]
    asked = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    asked += [rule["expr"] for rule in alerts]
    text = farm.hub.metrics.render(list_gauges(farm.hub))
    kinds = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.M))
    there = {name for name, kind in kinds.items() if kind == "gauge"}
    there |= {
        f"{name}_{part}" for name, kind in kinds.items() if kind == "histogram" for part in ("bucket", "count", "sum")
    }
    for expr in asked:
        names = set(re.findall(rf"{PREFIX}[a-z_]+", expr))
        assert names <= there, expr
        assert names or expr.startswith("up{"), expr
        assert all(expr.count(a) == expr.count(b) for a, b in ("()", "[]", "{}")), expr
    assert len({rule["alert"] for rule in alerts}) == len(alerts)
    assert all(rule["annotations"]["summary"] and rule["labels"]["severity"] for rule in alerts)
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])


def test_a_build_and_what_follows_from_it_belong_to_the_trace_that_asked(farm: Farm, client: TestClient) -> None:
    with tracing(TRACE_ID):
        asked = farm.ask(farm.add_source("hello"), farm.add_source("user", depends="hello"))
    claimed = only(farm.claim())
    assert claimed.trace == TRACE_ID
    with tracing(claimed.trace):  # as the agent does
        farm.finish_well(claimed)
    farm.settle()
    assert only(farm.claim()).trace == TRACE_ID, "started by the hub itself, when its dependency was there"
    listed = client.get("/api/v1/jobs?state=succeeded").json()
    assert {one["kind"]: one["trace"] for one in listed if one["kind"] in ("build", "import")} == {
        "build": TRACE_ID, "import": TRACE_ID
    }  # fmt: skip
    build = client.get(f"/api/v1/builds/{asked.builds[0]}").json()
    assert build["arches"][0]["trace"] == TRACE_ID
    said = client.get(f"/api/v1/builds/{asked.builds[0]}/why").json()
    assert any(TRACE_ID in one["fact"] for one in said)
    assert TRACE.get() == ""
