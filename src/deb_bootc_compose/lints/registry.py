"""All lints in the order in which they are shown: bootc's by level and name, then Debian's. Standard library only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from deb_bootc_compose.lints import (
    api_base_directories,
    apt_directories,
    background_units,
    baseimage_composefs,
    baseimage_root,
    bootc_client,
    bootc_kargs,
    buildah_injected,
    bytecode,
    dpkg_database,
    dracut_conf,
    enablement_links,
    etc_usretc,
    file_names_ascii,
    hard_links,
    identity,
    initramfs,
    kernel,
    kernel_config,
    machine_id,
    name_services,
    nonempty_boot,
    nonempty_run_tmp,
    ownership,
    package_registries,
    pinned_ids,
    prepare_root,
    repoclosure,
    root_filesystem,
    selinux,
    setuid,
    special_files,
    stale_caches,
    state_layout,
    state_targets,
    sysroot_empty,
    sysusers,
    top_level,
    useradd_home,
    utf8,
    var_files,
    var_log,
    var_run,
    var_tmpfiles,
)
from deb_bootc_compose.lints.model import Finding, Lint, Root
from deb_bootc_compose.tree.files import shown

LINTS: tuple[Lint, ...] = (
    # bootc container lint, fatal
    api_base_directories.LINT,
    baseimage_root.LINT,
    bootc_kargs.LINT,
    etc_usretc.LINT,
    kernel.LINT,
    utf8.LINT,
    var_run.LINT,
    # bootc container lint, warnings
    baseimage_composefs.LINT,
    buildah_injected.LINT,
    nonempty_boot.LINT,
    nonempty_run_tmp.LINT,
    sysusers.LINT,
    var_log.LINT,
    var_tmpfiles.LINT,
    # Debian's own
    bootc_client.LINT,
    top_level.LINT,
    sysroot_empty.LINT,
    file_names_ascii.LINT,
    special_files.LINT,
    hard_links.LINT,
    dpkg_database.LINT,
    repoclosure.LINT,
    var_files.LINT,
    machine_id.LINT,
    identity.LINT,
    ownership.LINT,
    pinned_ids.LINT,
    enablement_links.LINT,
    background_units.LINT,
    prepare_root.LINT,
    initramfs.LINT,
    bytecode.LINT,
    setuid.LINT,
    state_layout.LINT,
    state_targets.LINT,
    useradd_home.LINT,
    package_registries.LINT,
    apt_directories.LINT,
    stale_caches.LINT,
    name_services.LINT,
    dracut_conf.LINT,
    kernel_config.LINT,
    root_filesystem.LINT,
    selinux.LINT,
)


def run_lints(root: Root, *, lints: Sequence[Lint] = LINTS) -> list[Finding]:
    """Run *lints* over the tree; findings in the order of the lints. What a file is called steers no terminal."""
    return [Finding(lint.name, lint.level, shown(message)) for lint in lints for message in lint.check(root)]


def lint(*, tree: str = "/tree", ostree_features: list[str] | None = None, filesystem: str = "ext4") -> dict[str, Any]:
    """Inside the sandbox: all findings of the tree, as JSON."""
    features = None if ostree_features is None else tuple(ostree_features)
    root = Root(Path(tree), ostree_features=features, filesystem=filesystem)
    return {"findings": [asdict(f) for f in run_lints(root)]}
