"""What a build does in its root: unpack the source, run dpkg-buildpackage, take out the results."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from deb_mock.addentry import add_entry
from deb_mock.buildlog import BuildLog, stamp
from deb_mock.collect import collect_results
from deb_mock.dsc import Dsc
from deb_mock.failed import watching
from deb_mock.gainroot import needs_root, root_command
from deb_mock.hooks import has_hooks, run_hooks
from deb_mock.order import Order
from deb_mock.outcome import fail_step
from deb_mock.recorder import Recorder
from deb_mock.roots import processors
from deb_mock.state import State
from deb_mock.step import run_logged
from deb_mock.transfer import feeding, write_files_tar
from deb_mock.workspace import Workspace
from debcore.errors import Failure, LimitHit
from debcore.job import Output

#: $1 is the .dsc, $2 the tree; with $3 the files of the source come as a tar on standard input.
UNPACK = """umask 022
[ -z "$3" ] || tar --extract --no-same-owner --file=- || exit
exec < /dev/null
rm -rf "$2"; dpkg-source --no-check -x "$1" "$2" && chmod -R g-s,go+rX "$2"
"""

#: What to do about a limit or a full disk where the root is not on a disk.
IN_MEMORY = "its root lies in memory: build on disk with --set root.tmpfs=no, or raise the limits and root.max_fs_size"


def run_commands(
    stage: str, order: Order, recorder: Recorder, build_log: BuildLog, space: Workspace | None = None
) -> None:
    if order.commands.by_stage.get(stage) or has_hooks(order, stage):
        with recorder.running(f"run-{stage}-commands"):
            run_hooks(order, stage, build_log, space)
            order.commands.run(stage, build_log, space)


def build_inside(
    order: Order, recorder: Recorder, build_log: BuildLog, space: Workspace, state: State, dsc: Dsc
) -> tuple[Output, ...]:
    assert state.subject is not None
    tree = order.tree or f"{order.surroundings.directory}/{dsc.source}-{dsc.upstream_version}"
    with watching(order, space, dsc, tree):
        _compile(order, recorder, build_log, space, state, dsc, tree)
    with recorder.running("results"):
        return collect_results(space, order, dsc, state.subject.parts, build_log)


def _compile(
    order: Order, recorder: Recorder, build_log: BuildLog, space: Workspace, state: State, dsc: Dsc, tree: str
) -> None:
    build_log.subsection("Build")
    if order.unpacks:
        with recorder.running("unpack", f"Building {dsc.source} {dsc.version}"):
            build_log.subsubsection("Unpack source")
            build_log.line(dsc.path.read_text("utf-8", "replace"))
            argv = ["sh", "-c", UNPACK, "sh", dsc.name, tree, "" if order.again else "with the files"]
            files = {} if order.again else {path.name: path for path in dsc.all_files}
            with feeding(lambda stream: write_files_tar(files, stream)) as stdin:
                _run_step(order, space, build_log, state, argv, order.surroundings.directory, "unpack", stdin=stdin)
            if order.addition:
                add_entry(order, space, build_log, dsc, tree)
    run_commands("starting-build", order, recorder, build_log, space)
    with recorder.running("build", "" if order.unpacks else f"Going on with {dsc.source} {dsc.version}"):
        env = order.build_environment(processors())
        build_log.subsubsection("User Environment")
        for key, value in sorted(space.sandbox(env=env).env.items()):
            build_log.line(f"{key}={value}")
        for limit, who in state.enforced.items():
            build_log.line(f"I: The limit of {limit}, {getattr(order.limits, limit)}, is held by {who}")
        assert state.plugins is not None
        state.plugins.call("prebuild")
        build_log.subsubsection("dpkg-buildpackage")
        try:
            with state.plugins.failing("postbuild"):
                _run_buildpackage(order, space, build_log, state, dsc, tree, env)
        except Failure:
            run_hooks(order, "build-failed", build_log, space)
            order.commands.run("build-failed", build_log, space)
            raise
        state.plugins.call("postbuild")
        build_log.line("-" * 80)
        build_log.line(f"Build finished at {stamp()}")
        build_log.subsubsection("Finished")
        build_log.line("I: Built successfully")
    run_commands("finished-build", order, recorder, build_log, space)


def _run_buildpackage(
    order: Order, space: Workspace, build_log: BuildLog, state: State, dsc: Dsc, tree: str, env: Mapping[str, str]
) -> None:
    assert state.subject is not None
    parts, umask = state.subject.parts, f"{order.surroundings.umask:03o}"
    if needs_root(dsc.fields, space, tree):
        with root_command(space) as gain:
            line = order.build_command(parts, gain_root=gain.command)
            build_log.line(f"Command: {' '.join(line)}")
            script = f'umask {umask}; exec "$@"'
            argv = ["sh", "-c", script, "sh", *order.surroundings.wrapper, *line]
            _run_step(order, space, build_log, state, gain.wrap(argv), tree, "build", env=env, gain=True)
        return
    line = order.build_command(parts)
    build_log.line(f"Command: {' '.join(line)}")
    argv = ["sh", "-c", f'umask {umask}; exec "$@"', "sh", *order.surroundings.wrapper, *line]
    _run_step(order, space, build_log, state, argv, tree, "build", env=env)


def _run_step(
    order: Order,
    space: Workspace,
    build_log: BuildLog,
    state: State,
    argv: list[str],
    cwd: str,
    stage: str,
    *,
    env: Mapping[str, str] | None = None,
    gain: bool = False,
    stdin: int | None = None,
) -> None:
    """One step of the package itself. Errors: BuildFailed, HostFailed or LimitHit, each with what the log says."""
    start = build_log.size
    sandbox = space.sandbox(cwd=cwd, env=env, limited=True, root=gain)
    if stage in order.choice.settings.build.online:
        build_log.line("W: this step has the network, because build.online says so: not reproducible")
        sandbox = replace(sandbox, network="host")
    try:
        ran = run_logged(
            sandbox,
            argv,
            build_log,
            idmap=space.store.idmap,
            stdin=stdin,
            silence=order.limits.silence_s,
            most=order.limits.log,
            timeout=state.remaining(),
        )
    except LimitHit as error:
        build_log.line(f"E: {error}")
        if space.placed.in_memory and not error.hint:
            raise LimitHit(str(error), hint=IN_MEMORY) from error
        raise
    state.peaks = ran.peaks
    if ran.status != 0:
        from deb_mock.classify import explain, read_lines

        report = explain(read_lines(build_log.path, start=start), stage=stage)
        build_log.line("-" * 80)
        build_log.line(f"E: Build failure ({argv[0] if stage == 'unpack' else 'dpkg-buildpackage'} died: {ran.status})")
        if space.placed.in_memory and report.kind in ("disk", "memory"):
            report = report.model_copy(update={"hint": IN_MEMORY})
        raise fail_step(report, space.limits)
