"""The plugins of one build: what they contribute, put together, and their hooks, called one after the other."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from deb_mock.buildlog import BuildLog
from deb_mock.logs import METHODS
from deb_mock.order import Order
from deb_mock.plugin import BUILD_HOOKS, Build, Plugin, RootLayer
from deb_mock.plugins.registry import call_plugin, load_plugins
from deb_mock.roots import BuildRoot
from deb_mock.surroundings import PATH, Surroundings
from deb_mock.workspace import Workspace
from debcore.command import Completed
from debcore.errors import ConfigError, Failure
from debcore.job import JobDirectory, Output
from debcore.path import check_file_name, write_file
from debroot.caches import open_cache
from debroot.sandbox import Bind
from debroot.store import Store


class Applied:
    """The plugins that *order* enables. `root`, `space` and `failed` are set as the build goes on.

    Errors: ConfigError on a plugin that cannot be used; HostFailed on one that fails.
    """

    def __init__(self, order: Order, store: Store, build_log: BuildLog) -> None:
        choice = order.choice
        self.plugins: dict[str, Plugin] = {}
        for name, plugin in load_plugins(choice.settings.plugins, choice.resolved.origins).items():
            if reason := find_objection(name, plugin, order):
                build_log.line(f"I: without the plugin {name}: {reason}")
            else:
                self.plugins[name] = plugin
        self._compression = find_compression(self.plugins)
        self.outputs: list[Output] = []
        self.root: BuildRoot | None = None
        self.space: Workspace | None = None
        self.failed = ""
        self._subject = ("", "")
        self._order, self._store, self._log = order, store, build_log
        self._caches: dict[tuple[str, str], Path] = {}
        self._stack = ExitStack()

    def __enter__(self) -> Applied:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the caches."""
        self._stack.close()

    def begin(self, order: Order, source: str, version: str) -> None:
        """The source is known, and with it the order's final settings."""
        self._order, self._subject = order, (source, version)

    def complete(self, order: Order) -> Order:
        """*order* with the checks and signatures that plugins ask for."""
        if order.verifies:
            return order
        plugins = self.plugins.items()
        names = dict.fromkeys(check for name, plugin in plugins for check in call_plugin(name, plugin, "checks"))
        if names:
            from deb_mock.checks.registry import add_checks

            order = replace(order, gate=add_checks(order.gate, tuple(names)))
        return replace(order, sign=order.sign or any(call_plugin(name, plugin, "signs") for name, plugin in plugins))

    @property
    def compression(self) -> str:
        """Of logs, when the build has ended. Where others read them by name, they stay."""
        if self._order.plain_logs or self._order.verifies:
            return ""
        return self._compression

    @property
    def influences(self) -> tuple[str, ...]:
        plugins = self.plugins.items()
        return tuple(f"{name}: {what}" for name, plugin in plugins for what in call_plugin(name, plugin, "influences"))

    def binds(self) -> tuple[Bind, ...]:
        """Errors: Failure if two plugins want the same place."""
        found: dict[str, Bind] = {}
        for name, plugin in self.plugins.items():
            for mount in call_plugin(name, plugin, "mounts", self._build(name)):
                if mount.target in found:
                    raise Failure(f"{name}: {mount.target} is another plugin's", hint="disable one of them")
                found[mount.target] = Bind(source=Path(mount.source), target=mount.target, readonly=mount.readonly)
        return tuple(found.values())

    def surround(self, surroundings: Surroundings) -> Mapping[str, str]:
        """Variables beside those of *surroundings*, which win; PATH is prepended to.

        Errors: Failure if two plugins want the same one.
        """
        found: dict[str, str] = {}
        paths: list[str] = []
        for name, plugin in self.plugins.items():
            for key, value in call_plugin(name, plugin, "environment", self._build(name)).items():
                if key == "PATH":
                    paths.append(value)
                elif key in found:
                    raise Failure(f"{name}: {key} is another plugin's variable", hint="disable one of them")
                else:
                    found[key] = value
        if not paths:
            return {**found, **surroundings.env}
        return {**found, **surroundings.env, "PATH": ":".join([*paths, surroundings.env.get("PATH", PATH)])}

    @contextmanager
    def using(self, space: Workspace) -> Iterator[None]:
        """*space* is the root that hooks see in the block."""
        self.space = space
        self._own_caches(space)
        try:
            yield
        finally:
            self.space = None

    @contextmanager
    def failing(self, hook: str) -> Iterator[None]:
        """Call *hook* if the block fails, with the reason. What it raises itself is only logged."""
        try:
            yield
        except Failure as failure:
            self.failed = str(failure)
            try:
                self.call(hook)
            except Failure as second:
                self._log.line(f"W: {second}")
            raise

    def _own_caches(self, space: Workspace) -> None:
        """Give the caches that were asked for to the build user, whose id only the root knows."""
        wanted = self._store.idmap.first + space.surroundings.uid
        caches = set(self._caches.values())
        targets = [b.target for b in space.binds if b.source in caches and b.source.stat().st_uid != wanted]
        if targets:
            ids = f"{space.surroundings.uid}:{space.surroundings.gid}"
            space.run(["chown", ids, *targets], root=True, cwd="/")

    def call(self, hook: str) -> None:
        """Errors: Failure as a plugin raises it; HostFailed for whatever else it raises."""
        assert hook in BUILD_HOOKS
        for name, plugin in self.plugins.items():
            call_plugin(name, plugin, hook, self._build(name))

    def _build(self, name: str) -> Build:
        """The build as the plugin *name* sees it now."""
        choice, (source, version) = self._order.choice, self._subject
        return Build(
            source=source,
            version=version,
            preset=choice.preset.name,
            suite=choice.suite,
            arch=choice.arch,
            directory=self._order.directory,
            failed=self.failed,
            lock=self.root.lock if self.root else None,
            layers=describe_layers(self.root) if self.root else (),
            space=self._run_inside if self.space else None,
            keep=lambda file, content: self._keep(name, file, content),
            cache=lambda key: self._cache(name, key),
            log=self._log.line,
        )

    def _run_inside(self, argv: Sequence[str], root: bool) -> Completed:
        assert self.space is not None
        return self.space.run(argv, root=root)

    def _keep(self, name: str, file: str, content: bytes) -> None:
        path = self._order.directory / check_file_name(file, where=f"the plugin {name}")
        if path.exists():
            raise Failure(f"{name}: the results have a file {file} already", hint="a plugin may only add files")
        write_file(path, content)
        self.outputs.append(
            JobDirectory(self._order.directory).output(file, "log" if file.endswith(".log") else "file")
        )

    def _cache(self, name: str, key: str) -> Path:
        check_file_name(key, where=f"the plugin {name}")
        if (name, key) not in self._caches:
            self._caches[name, key] = self._open_cache(name, key)
        return self._caches[name, key]

    def _open_cache(self, name: str, key: str) -> Path:
        if self._order.verifies:  # what the first build left would be what the second one finds
            return self._stack.enter_context(self._store.throwaway())
        path, held = open_cache(self._store, name, key)  # gc lets it be as long as it is held
        self._stack.callback(os.close, held)
        return path


def find_compression(plugins: Mapping[str, Plugin]) -> str:
    """How logs are compressed: as the first plugin wants that has a wish. Errors: ConfigError on a method unknown."""
    found = ""
    for name, plugin in plugins.items():
        method = call_plugin(name, plugin, "compression")
        if method and method not in [*METHODS]:
            raise ConfigError(f"plugins.{name}", f"wants logs as {method!r}", hint=f"there are {', '.join(METHODS)}")
        found = found or method
    return found


def find_objection(name: str, plugin: Plugin, order: Order) -> str:
    """Why *plugin* cannot be part of *order*; "" if it can. The second build of a verification has the first's."""
    if order.lock is None or order.verifies:
        return ""
    if call_plugin(name, plugin, "influences"):
        return "with a lock, nothing else may decide the result"
    there = {package.name for package in order.lock.packages}
    missing = [package for package in call_plugin(name, plugin, "packages") if package not in there]
    return f"the lock does not have its package {missing[0]}" if missing else ""


def describe_layers(root: BuildRoot) -> tuple[RootLayer, ...]:
    """Bottom first, each with what it brought."""
    found, known = [], set[tuple[str, str, str, str]]()
    for layer in (*root.layer.parents, root.layer):
        new = tuple(package for package in layer.packages if package.key not in known)
        found.append(RootLayer(id=layer.id, packages=new))
        known |= {package.key for package in layer.packages}
    return tuple(found)
