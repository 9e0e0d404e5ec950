"""The tree: one root file system, made in stages from exact packages, then finished for OSTree and bootc.

This file imports nothing, because parts of the package run inside the sandbox, where only the standard library is at
hand. Entry points, in the order in which a compose uses them:

    tree.make.make_tree(store, TreeSpec(suite=, arch=, base=, archive=, hub=, finish=FinishOptions(…))) -> Tree
    tree.make.load_tree(store, id, suite=) -> Tree or None      # the store is the only place where trees are kept
    lints.check.check_tree(store, tree, waivers=, today=) -> Report
    ostree.init_repo(store, path, suite=) -> Repository
    ostree.commit(repository, tree, ref=, version=, timestamp=, …) -> Commit
    oci.image.write_layout(store, tree, out, ImageConfig(…)) -> Image
    oci.replay.replay_import(repository, layout, commit) -> Comparison

Stages: base (essential packages and apt) → archive packages, after the users and groups of the id ledger → hub packages
→ files and finish. Each is a layer of the store named by what went in, so that a change reruns its own stage and those
above it. `steps/` holds what finish does, one file each, naming the items of the contract that it fulfils.

Choices: /etc/machine-id is `uninitialized`, so the first boot applies presets; ours name what packages enabled and end
in `disable *`, and systemd-firstboot asks nothing. All times are zero. /var has only directories and links that
tmpfiles.d makes as well. dpkg's database is /usr/lib/sysimage/dpkg.
"""
