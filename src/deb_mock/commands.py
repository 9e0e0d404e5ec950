"""Commands of the user at sbuild's stages of a build: on this host or as root in the throw-away root.

Source: sbuild(1), EXTERNAL COMMANDS.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from deb_mock.buildlog import BuildLog
from deb_mock.step import run_logged
from deb_mock.workspace import Workspace
from debcore.command import run
from debcore.errors import Failure

#: Stage → (section of the log, runs in the root).
STAGES: Mapping[str, tuple[str, bool]] = {
    "pre-build": ("Pre Build Commands", False),
    "chroot-setup": ("Chroot Setup Commands", True),
    "starting-build": ("Starting Timed Build Commands", True),
    "finished-build": ("Finished Timed Build Commands", True),
    "build-failed": ("Generic Build Failed Commands", True),
    "chroot-cleanup": ("Chroot Cleanup Commands", True),
    "post-build": ("Post Build Commands", False),
    "post-build-failed": ("Post Build Failed Commands", False),
}
#: What may stand for a %-escape: it becomes part of a shell command that the user wrote.
_HARMLESS = re.compile(r"[A-Za-z0-9/._+~:@%=,-]*")


@dataclass(frozen=True)
class Commands:
    """The user's commands by stage, and what their %-escapes stand for."""

    by_stage: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    escapes: Mapping[str, str] = field(default_factory=dict)

    def run(
        self, stage: str, log: BuildLog, space: Workspace | None = None, *, more: Mapping[str, str] | None = None
    ) -> None:
        """Run the commands of *stage*; *more* are escapes known only now. Errors: Failure at the first that fails."""
        commands = self.by_stage.get(stage, ())
        if not commands:
            return
        run_lines(stage, [expand(command, {**self.escapes, **(more or {})}) for command in commands], log, space)


NO_COMMANDS = Commands()


def run_lines(
    stage: str, lines: Sequence[str], log: BuildLog, space: Workspace | None, env: Mapping[str, str] | None = None
) -> None:
    """Run *lines* of shell at *stage*, with *env* beside the usual. Errors: Failure at the first that fails."""
    title, inside = STAGES[stage]
    log.subsection(title)
    for line in lines:
        log.subsubsection(line)
        status = _run_inside(line, log, space, env or {}) if inside and space else _run_here(line, log, env or {})
        if status != 0:
            log.line(f"E: Command '{line}' failed to run.")
            raise Failure(f"the command {line!r} of {stage}-commands ended with {status}", hint="see the log")
        log.line(f"I: Finished running '{line}'.")
    log.line("\nFinished processing commands.")
    log.line("-" * 80)


def expand(command: str, escapes: Mapping[str, str]) -> str:
    """*command* with its %-escapes. Errors: Failure for a value that a shell would not take as it is, and for the
    escapes that open a shell or name the place of the root on this host."""
    if found := re.search(r"%(?:SBUILD_SHELL|SBUILD_CHROOT_DIR|SBUILD_CHROOT_EXEC|[sre](?![A-Za-z_]))", command):
        hint = "a root has no place on this host; to look at one that failed, use deb-mock build --debug-on-failure"
        raise Failure(f"{found[0]} is not supported in {command!r}", hint=hint)
    names = "|".join(sorted(map(re.escape, escapes), key=len, reverse=True))

    def put(match: re.Match[str]) -> str:
        value = escapes[match[1]]
        if not _HARMLESS.fullmatch(value):
            raise Failure(f"%{match[1]} is {value!r}: a shell would not take that as one word", hint="rename it")
        return value

    return re.sub(f"%({names})", put, command) if names else command


def _run_here(line: str, log: BuildLog, env: Mapping[str, str]) -> int:
    done = run(["sh", "-c", line], check=False, extra_env=env)
    log.write(done.stdout + done.stderr)
    return done.status


def _run_inside(line: str, log: BuildLog, space: Workspace, env: Mapping[str, str]) -> int:
    env = {"HOME": "/root", "USER": "root", "LOGNAME": "root", **env}
    sandbox = space.sandbox(root=True, cwd="/", env=env, limited=True)
    return run_logged(sandbox, ["sh", "-c", line], log, idmap=space.store.idmap).status
