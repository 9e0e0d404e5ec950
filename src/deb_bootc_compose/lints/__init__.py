"""Checks of a finished tree: all of `bootc container lint`, and Debian's own traps. One file per lint.

Entry points: `lints.registry.LINTS` (the ordered list), `lints.registry.run_lints(tree) -> findings` (pure, reads the
tree), `lints.check.check_tree(store, tree, waivers=…, today=…)` (runs them inside the sandbox and applies waivers).
"""
