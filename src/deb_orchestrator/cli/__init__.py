"""deb-orchestrator's command line: one module for each verb."""

from __future__ import annotations

import click

from debcore.cli import LazyGroup, dispatch

_HERE = "deb_orchestrator.cli"

VERBS = {
    "up": (f"{_HERE}.up", "hub, web, signer and one builder on this host, with nothing to configure"),
    "build": (f"{_HERE}.build", "build source packages and put them into a suite"),
    "binnmu": (f"{_HERE}.binnmu", "build anew what a suite has, without a new source"),
    "watch": (f"{_HERE}.watch", "follow a request or build to its end"),
    "wait": (f"{_HERE}.wait", "wait until requests or builds have ended"),
    "wait-repo": (f"{_HERE}.wait_repo", "wait until a suite's repository holds what was done"),
    "check": (f"{_HERE}.check", "have what was built checked"),
    "logs": (f"{_HERE}.logs", "print a build's log"),
    "download": (f"{_HERE}.download", "download what a build made"),
    "cancel": (f"{_HERE}.cancel", "stop builds and requests"),
    "resubmit": (f"{_HERE}.resubmit", "build again what ended badly"),
    "list-builds": (f"{_HERE}.list_builds", "the newest builds"),
    "list-requests": (f"{_HERE}.list_requests", "what was asked for"),
    "list-tasks": (f"{_HERE}.list_tasks", "jobs by state, owner, architecture and host"),
    "task": (f"{_HERE}.task", "all about a job"),
    "list-uploads": (f"{_HERE}.list_uploads", "what came by dput"),
    "show": (f"{_HERE}.show", "all about a build"),
    "why": (f"{_HERE}.why", "why a build is where it is, or an upload was rejected"),
    "package": (f"{_HERE}.package", "source packages, their suites and builds"),
    "search": (f"{_HERE}.search", "find packages, suites, hosts and builds by name"),
    "history": (f"{_HERE}.history", "what changed, by event, and who did it"),
    "suite": (f"{_HERE}.suite", "suites, and how apt reads them"),
    "target": (f"{_HERE}.target", "targets: what builds see, and where their packages go"),
    "repo": (f"{_HERE}.repo", "what suites publish"),
    "access": (f"{_HERE}.access", "who may change a suite, and who reads a private one"),
    "audit": (f"{_HERE}.audit", "who did what"),
    "backup": (f"{_HERE}.backup", "database and artifacts to a directory, while the hub runs"),
    "restore": (f"{_HERE}.restore", "a hub's state from a backup"),
    "compose": (f"{_HERE}.compose", "images, what they are made of, and their builds"),
    "pin": (f"{_HERE}.pin", "what is kept although no suite has it"),
    "gc": (f"{_HERE}.gc", "remove what nothing uses"),
    "retention": (f"{_HERE}.retention", "for how long what nothing uses is kept"),
    "events": (f"{_HERE}.events", "the event log"),
    "login": (f"{_HERE}.login", "a link that signs a browser in, once"),
    "token": (f"{_HERE}.token", "tokens of people and programs"),
    "uploader": (f"{_HERE}.uploader", "people and programs that upload with dput"),
    "trigger": (f"{_HERE}.trigger", "git branches that are built when they move"),
    "webhook": (f"{_HERE}.webhook", "who is told of events"),
    "call": (f"{_HERE}.call", "the API itself"),
    "completion": (f"{_HERE}.completion", "print what a shell needs to complete words with Tab"),
    "hub": (f"{_HERE}.hub", "run a hub alone"),
    "signer": (f"{_HERE}.signer", "run the signer of a hub"),
    "list-hosts": (f"{_HERE}.list_hosts", "builders and signers, and how they are"),
    "enable-host": (f"{_HERE}.enable_host", "let builders have work again"),
    "disable-host": (f"{_HERE}.disable_host", "give builders no new work"),
    "host": (f"{_HERE}.host", "a builder, pools and their trust, maintenance"),
    "agent": (f"{_HERE}.agent", "run a builder; list, approve and revoke builders"),
}


@click.group(cls=LazyGroup, verbs=VERBS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="deb-bootc-ecosystem", prog_name="deb-orchestrator")
def group() -> None:
    """Build Debian packages on a farm and publish signed apt repositories."""


def main() -> None:
    dispatch(group, prog="deb-orchestrator")
