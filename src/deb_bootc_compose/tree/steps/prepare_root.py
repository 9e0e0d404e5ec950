"""How the root is put together at boot: /usr/lib/ostree/prepare-root.conf, as the tree's own ostree can do it (P1–P3).

composefs needs an ostree that was built with it: with `enabled = yes` on another one the machine does not boot. `maybe`
falls back to the bind mount. Only one of the two places that readers look at may have the file. One of the manifest's
own is kept as it is; what it must not say is told by the lint `prepare-root`.
"""

from __future__ import annotations

from pathlib import Path

from deb_bootc_compose.tree import files
from deb_bootc_compose.tree.spec import FinishOptions, State
from debcore.errors import Failure

CONF = "usr/lib/ostree/prepare-root.conf"
ETC = "etc/ostree/prepare-root.conf"
#: What the image's ostree was built with, one feature a line: lints and deployments read it without running it.
FEATURES = "usr/lib/sysimage/ostree-features"


def run(tree: Path, options: FinishOptions, state: State) -> None:
    ours = {entry.path.lstrip("/") for entry in options.add_files}
    if not (tree / "usr/lib/ostree/ostree-prepare-root").is_file():
        raise Failure("the tree cannot boot from OSTree", hint="add the packages ostree, ostree-boot and dracut")
    state.composefs = "composefs" in state.ostree_features
    if CONF not in ours:
        enabled = "yes" if state.composefs else "maybe"
        files.write(tree, CONF, f"[composefs]\nenabled = {enabled}\n\n[sysroot]\nreadonly = true\n")
    if ETC not in ours:
        files.remove(tree / ETC)
    files.write(tree, FEATURES, "".join(f"{feature}\n" for feature in state.ostree_features))
