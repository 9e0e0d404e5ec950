"""A farm whose parts are of the last release or of the next version, each replaced by the other where it is."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import sqlalchemy as sa

from deb_orchestrator.store.engine import open_database
from deb_orchestrator.store.migrate import find_current
from debcore.command import Completed, run
from debcore.hub.model import Build, RequestState
from tests.contract.orchestrator.postgres import Server
from tests.integration.orchestrator.stack import Stack, Started, admin_of, ask, client_of, pick_port, wait_for
from tests.released import Tree
from tests.unit.orchestrator.services.farm import SUITE, make_dsc

CLIENT = Path(__file__).with_name("client_script.py")
AGENT, SIGNER = "builder", "pen"


@dataclass
class Mixed:
    """*server* None: SQLite and one hub; else *many* hubs on PostgreSQL, and `beside` for one more."""

    stack: Stack
    directory: Path
    server: Server | None
    many: int = 2
    hubs: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    words: dict[str, tuple[str | Path, ...]] = field(default_factory=dict)
    running: dict[str, Started] = field(default_factory=dict)
    told: dict[str, dict[str, str]] = field(default_factory=dict)
    database: str = ""

    def __post_init__(self) -> None:
        self.hubs = [f"hub{n}" for n in range(self.many if self.server else 1)]
        self.database = self.server.make_database() if self.server else f"sqlite:///{self.directory}/hub0/hub.sqlite"
        shared = ("--database", self.database, "--blobs", self.directory / "blobs") if self.server else ()
        for name in (*self.hubs, "beside"):
            self.words[name] = ("hub", "--state", self.directory / name, "--port", pick_port(), *shared)
        common = ("--hub", self.url_of(self.hubs[0]), "--state", self.directory / AGENT, "--name", AGENT)
        self.words[AGENT] = ("agent", *common, "--slots", "2", "--no-idle-updates")
        where = self.url_of(self.hubs[-1])
        self.words[SIGNER] = ("signer", "--hub", where, "--state", self.directory / SIGNER, "--name", SIGNER)

    def url_of(self, hub: str) -> str:
        return f"http://127.0.0.1:{self.words[hub][4]}"

    def start(self, name: str, tree: Tree) -> None:
        words = self.words[name]
        if words[0] == "hub":
            self.running[name], self.told[name] = self.stack.start_ready(*words, program=tree.program)
        else:
            self.running[name] = self.stack.start(*words, program=tree.program)

    def replace(self, name: str, tree: Tree) -> None:
        """Stopped as a service is, and started as *tree*'s."""
        assert self.running[name].stop() in (0, 143), self.running[name].text
        self.start(name, tree)

    def begin(self, tree: Tree) -> None:
        """All of *tree*, with one package published."""
        for name in (*self.hubs, AGENT, SIGNER):
            self.start(name, tree)
        with admin_of(self.told["hub0"]) as admin:
            wait_for(lambda: {one.name for one in admin.agents()} == {AGENT, SIGNER}, why="enrolment")
            for name in (AGENT, SIGNER):
                admin.approve(name)
        with client_of(self.told["hub0"]) as client:
            client.ensure_target(SUITE, "debian-trixie")
        self.build("before")

    def build(self, name: str, hub: str = "hub0") -> None:
        """Asked of *hub* and waited for there."""
        self.finish(self.ask(name, hub), hub)

    def ask(self, name: str, hub: str = "hub0") -> str:
        with client_of(self.told[hub]) as client:
            self.asked.append(ask(client, self.directory, name).id)
        return self.asked[-1]

    def finish(self, request: str, hub: str = "hub0") -> None:
        with client_of(self.told[hub]) as client:
            ended = client.wait_request(request, 240)
            assert ended.state is RequestState.READY, (ended, [one.text[-2000:] for one in self.running.values()])

    def hold(self, name: str) -> str:
        """A build that is under way until `let_go`: its request."""
        request = self.ask(name)
        wait_for(lambda: bool(self.runs_of(name)), why=f"the start of {name}")
        return request

    def let_go(self, name: str) -> None:
        (self.directory / f"go-{name}").touch()

    def runs_of(self, source: str) -> list[str]:
        """The attempts of *source* that the builder ran, as its own ledger says."""
        return [line.split()[1] for line in self.stack.runs if line.split()[0] == source]

    def use_client(self, tree: Tree, name: str) -> None:
        """The typed client and the command line of *tree* against the hubs as they are."""
        tarball = name.encode()
        (self.directory / f"{name}_1.0.tar.xz").write_bytes(tarball)
        dsc = self.directory / f"{name}_1.0.dsc"
        dsc.write_bytes(make_dsc(name, "1.0", binaries=[name], tarball=tarball))
        told = self.told["hub0"]
        done = self._run([tree.python, CLIENT, told["url"], told["token_file"], SUITE, dsc])
        said = json.loads(done.text)
        assert said["state"] == "ready", said
        assert said["module"].startswith(str(tree.src)), "it is the client of another version"
        assert said["events"][-1] >= len(said["events"]) > 5
        self.asked.append(said["request"])
        listed = json.loads(self._run([*tree.program, "list-builds", "--json"]).text)
        assert name in {build["source"] for build in listed}
        assert "installed" in self._run([*tree.program, "why", str(said["build"])]).text

    def _run(self, argv: list[str | Path]) -> Completed:
        told = self.told["hub0"]
        return run(argv, extra_env={"DEBOOTC_HUB": told["url"], "DEBOOTC_TOKEN_FILE": told["token_file"]}, timeout=300)

    def revision(self) -> str | None:
        """Of the database, as it is."""
        with closing(open_database(self.database, alone=False)) as database, database.read() as db:
            return find_current(db)

    def builds(self) -> list[Build]:
        with client_of(self.told["hub0"]) as client:
            return [client.build(id_) for one in self.asked for id_ in client.request(one).builds]

    def refuse(self, name: str, tree: Tree) -> str:
        """What *tree*'s hub says that does not start. Its exit status is that of bad input."""
        started = self.stack.start(*self.words[name], program=tree.program)
        assert started.process.wait(120) == 3, started.text
        return started.text


def read_rows(url: str) -> dict[str, int]:
    """Rows of each table."""
    with closing(open_database(url, alone=False)) as database, database.read() as db:
        tables = sa.inspect(db).get_table_names()
        return {one: db.execute(sa.text(f'SELECT count(*) FROM "{one}"')).scalar_one() for one in tables}
