"""Building a source package: the top of deb-mock. `run_build` always ends with a result.json, and raises nothing.

A signal is the exception: it is recorded as cancelled and raised again, so that the process ends by it.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from deb_mock import tool_version
from deb_mock.acquire import acquire, declare
from deb_mock.buildlog import BuildLog, first_line
from deb_mock.buildtype import add_relations, reduce_for_parts
from deb_mock.dialect import write_environment, write_preamble, write_summary
from deb_mock.failed import opened_again
from deb_mock.finish import finish_build, online_steps
from deb_mock.hooks import hook_influences, run_last_hooks
from deb_mock.inside import build_inside, run_commands
from deb_mock.logs import compress_logs
from deb_mock.named import install_for_build, open_for_build
from deb_mock.offer import offer_debs
from deb_mock.order import Order
from deb_mock.outcome import report_of, status_of, translate_install
from deb_mock.pack import Tree, pack_tree
from deb_mock.plugins.apply import Applied
from deb_mock.plugins.registry import plugin_packages
from deb_mock.recorder import LOCK_FILE, Recorder
from deb_mock.roots import (
    BuildRoot,
    find_sources,
    has_dependencies,
    make_base,
    make_lock,
    open_tarball,
    resolve_build,
    wish_memory,
)
from deb_mock.state import State, Subject
from deb_mock.unmet import proving_unmet
from deb_mock.workspace import open_workspace
from debcore.cancel import Cancelled
from debcore.cli import printable
from debcore.errors import CommandFailed, ConfigError, Failure, HostFailed, Interrupted
from debcore.job import Event, JobDirectory, Output, Result, Status
from debcore.log import counted
from debroot.memory import Decision
from debroot.named import NamedRoot
from debroot.resolve import Resolution
from debroot.store import Store

log = logging.getLogger(__name__)


def run_build(
    order: Order, store: Store, build_log: BuildLog, *, listen: Callable[[Event], None] | None = None
) -> Result:
    """Build *order* and leave everything in its directory, result.json last. *listen* gets each event as it happens."""
    directory = JobDirectory(order.directory)
    with contextlib.closing(Recorder(order, directory, listen=listen)) as recorder:
        return _run_recorded(order, store, build_log, directory, recorder)


def _run_recorded(
    order: Order, store: Store, build_log: BuildLog, directory: JobDirectory, recorder: Recorder
) -> Result:
    begin = time.monotonic()
    state = State(order)
    outputs: tuple[Output, ...] = ()
    problem: BaseException | None = None
    build_log.line(first_line(tool_version(), socket.gethostname()))
    try:
        state.plugins = Applied(order, store, build_log)
        outputs = _build(order, store, recorder, build_log, state, state.plugins)
    except (Failure, OSError, Interrupted) as error:
        problem = error
    result = _conclude(order, recorder, state, outputs, problem)
    try:
        run_last_hooks(state.order, build_log, problem)
        version = state.subject.version if state.subject else None
        write_summary(build_log, state.order, result, time.monotonic() - begin, source_version=version)
        if state.plugins:
            state.plugins.call("process_logs")
        build_log.close()
        kept = state.plugins.outputs if state.plugins else []
        method = state.plugins.compression if state.plugins else ""
        outputs = compress_logs(directory, (*result.outputs, *kept, *_records(directory)), method)
        result = result.model_copy(update={"outputs": outputs})
        recorder.build_complete(result)
        recorder.close()
        directory.write_result(result)
    except (OSError, HostFailed) as error:
        hint = f"make room on the file system of {order.directory}, or choose another --resultdir"
        raise HostFailed(f"the result cannot be written: {error}", hint=hint) from (problem or error)
    finally:
        if state.plugins:
            state.plugins.close()
    if isinstance(problem, Interrupted) and not isinstance(problem, Cancelled):
        raise problem
    return result


def _build(
    order: Order, store: Store, recorder: Recorder, build_log: BuildLog, state: State, plugins: Applied
) -> tuple[Output, ...]:
    if order.again is not None:
        return _build_again(order, store, recorder, build_log, state, plugins)
    with store.scratch() as scratch, open_for_build(store, order.choice, order.named) as named:
        with recorder.running("source"):
            subject, order = _take_source(order, store, recorder, scratch, build_log)
            state.subject, state.order = subject, order
            order = state.order = plugins.complete(order)
            plugins.begin(order, subject.source, subject.version)
        plugins.call("preinit")
        with plugins.failing("initfailed"):
            root = plugins.root = _make_root(order, store, recorder, build_log, subject, plugins, named)
        plugins.call("postdeps")
        dsc = subject.found
        if isinstance(dsc, Tree):
            with recorder.running("pack", f"Cleaning and packing {subject.source} {subject.version} inside the root"):
                build_log.subsection("Pack source")
                dsc = pack_tree(store, root.layer, dsc, scratch, build_log, order, plugins)
        with (
            open_workspace(
                store,
                root.layer,
                limits=order.limits,
                hardened=order.choice.settings.build.hardened,
                surroundings=replace(order.surroundings, env=plugins.surround(order.surroundings)),
                binds=plugins.binds(),
                upper=named.upper if named else None,
                memory=wish_memory(order.choice),
            ) as space,
            plugins.using(space),
        ):
            state.tmpfs = space.placed.in_memory
            say_placed(build_log, order, space.placed)
            run_commands("chroot-setup", order, recorder, build_log, space)
            outputs = build_inside(order, recorder, build_log, space, state, dsc)
            run_commands("chroot-cleanup", order, recorder, build_log, space)
        done = finish_build(order, store, recorder, root.lock, dsc, outputs, state.begun_at)
        state.reproducible, state.signed = done.reproducible, done.signed
        state.outputs = done.outputs
        if order.gate is not None:
            from deb_mock.checks.run import check_build

            check_build(order, store, recorder, build_log, state, dsc)
        return state.outputs


def say_placed(build_log: BuildLog, order: Order, placed: Decision) -> None:
    """Where the changes to the root lie, if anything was wished."""
    if placed.in_memory:
        build_log.line("I: Changes to the root lie in memory")
    elif placed.reason:
        mark = "W" if order.choice.settings.root.tmpfs == "yes" else "I"
        build_log.line(f"{mark}: Changes to the root lie on disk, not in memory: {placed.reason}")


def _build_again(
    order: Order, store: Store, recorder: Recorder, build_log: BuildLog, state: State, plugins: Applied
) -> tuple[Output, ...]:
    with opened_again(order, store) as (space, dsc):
        parts = order.parts(dsc.architectures, dsc.source)
        state.subject, state.reproducible = Subject(dsc.source, dsc.version, dsc.fields, parts, dsc), False
        write_preamble(build_log, order, dsc)
        build_log.line("W: this goes on in the root of a build that failed: its results are not those of a clean one")
        plugins.begin(order, dsc.source, dsc.version)
        surroundings = replace(order.surroundings, env=plugins.surround(order.surroundings))
        space = replace(space, surroundings=surroundings, binds=plugins.binds())
        with plugins.using(space):
            return build_inside(order, recorder, build_log, space, state, dsc)


def _take_source(
    order: Order, store: Store, recorder: Recorder, scratch: Path, build_log: BuildLog
) -> tuple[Subject, Order]:
    """The source, fetched if need be, and the order: the changelog of a git repository may choose another suite."""
    source = order.source
    if step := declare(source):
        if order.offline:
            hint = "fetch it while there is a network: deb-mock source WHAT, and name its .dsc"
            raise ConfigError("--offline", f"the source is not on this host ({step})", hint=hint)
        recorder.progress(f"Fetching the source ({step})", online=step)
    acquired = acquire(store, source, order.choice, scratch, extra=order.extra)
    found = acquired.found
    if isinstance(found, Tree) and order.choose_again is not None:
        order = replace(order, choice=order.choose_again(found.entry.distribution))
    write_preamble(build_log, order, found)
    build_log.subsection("Fetch source files")
    build_log.subsubsection(acquired.title)
    for note in acquired.notes:
        build_log.line(printable(note))
    parts = order.parts(found.architectures, found.source)
    subject = Subject(found.source, found.version, add_relations(found.fields, order.fields), parts, found)
    run_commands("pre-build", order, recorder, build_log)
    return subject, order


def _make_root(
    order: Order,
    store: Store,
    recorder: Recorder,
    build_log: BuildLog,
    subject: Subject,
    plugins: Applied,
    named: NamedRoot | None,
) -> BuildRoot:
    """Base, dependencies, lock: the environment of the build. Ends with environment.ready."""
    if order.lock is not None:
        from deb_mock.locked import make_locked_root

        root = make_locked_root(order, order.lock, store, recorder, build_log)
        write_environment(build_log, order.choice.host_arch, subject.found.architectures, root.layer)
        return root
    choice = order.choice
    sources = () if order.chroot else find_sources(choice, extra=order.extra)
    with recorder.running("root", f"Preparing the {choice.preset.name} root"):
        if named is not None:
            build_log.line(f"W: built in the named root {named.name}, whose files may have been changed by hand")
            base = named.below
        elif order.chroot is None:
            base = make_base(store, choice, sources)
        else:
            base = open_tarball(store, choice, order.chroot)
    plugins.call("postinit")
    with recorder.running("resolve"):
        build_log.subsection("Install package build dependencies")
        depends, conflicts = reduce_for_parts(
            subject.fields, subject.parts, arch=choice.host_arch, profiles=choice.settings.build.profiles
        )
        depends = ", ".join(filter(None, [depends, *plugin_packages(choice)]))
        build_log.line(f"Build-Depends: {depends}")
        debs = offer_debs(store, order.debs)
        if order.chroot is not None and has_dependencies(store, base, depends, conflicts):
            resolution = Resolution((), {})
        else:
            sources = sources or find_sources(choice, extra=order.extra)
            with proving_unmet(build_log, store, sources, choice.arch, depends, conflicts, debs):
                resolution = resolve_build(store, choice, sources, base, depends, conflicts, debs=debs)
    with recorder.running("install"):
        try:
            layer, installed = install_for_build(store, base, resolution, named)
        except CommandFailed as error:
            failure = translate_install(error)
            build_log.line(error.output)
            raise failure from error
        text = f"{counted(installed, 'package')} installed" if installed else "nothing to install: the layer exists"
        recorder.progress(f"Dependencies of {subject.source}: {counted(len(resolution.packages), 'package')}; {text}")
        build_log.line(f"I: {counted(len(resolution.packages), 'package')} beside the base; {text}")
        lock = make_lock(choice, base, layer, resolution)
        recorder.environment_ready(lock, installed=installed)
    write_environment(build_log, choice.host_arch, subject.found.architectures, layer)
    return BuildRoot(base=base, layer=layer, lock=lock, installed=installed)


def _conclude(
    order: Order, recorder: Recorder, state: State, outputs: tuple[Output, ...], problem: BaseException | None
) -> Result:
    subject = state.subject
    influences = (*(state.plugins.influences if state.plugins else ()), *hook_influences(state.order))
    if order.named is not None:
        influences = (*influences, f"the named root {order.named}")
    return Result(
        job=order.identity.job,
        attempt=order.identity.attempt,
        status=Status.BUILT if problem is None else status_of(problem),
        outputs=outputs or state.outputs,
        checks=state.checks,
        failure=None if problem is None else report_of(problem, stage=recorder.stage),
        stages=tuple(recorder.stages),
        peaks=state.peaks,
        source=subject.source if subject else None,
        version=state.order.built_version(subject.version) if subject else None,
        arch=state.order.choice.host_arch,
        lock_sha256=recorder.lock_sha256,
        reproducible=False if influences else state.reproducible,
        influences=influences,
        signed=state.signed,
        enforced=state.enforced,
        tmpfs=state.tmpfs,
        online=online_steps(state.order),
    )


def _records(directory: JobDirectory) -> list[Output]:
    """The log and the lock, if there is one."""
    found = [directory.output("build.log", "log")]
    if (directory.path / LOCK_FILE).is_file():
        found.append(directory.output(LOCK_FILE, "lock"))
    return found
