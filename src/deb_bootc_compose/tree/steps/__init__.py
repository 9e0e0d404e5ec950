"""The steps that finish a tree, in their order. Each module is one step and names the contract items it fulfils.

A step either changes the tree from outside (`run(tree, options, state)`, in the tools root's Python, standard library
only) or names commands that run with the tree as / (`commands(options, state)`), because only the tree's own dracut or
Python can do it. `registry.STEPS` lists them.
"""
