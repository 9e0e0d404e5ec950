"""The launcher: standard library only, run as a new process (`python -I -S launch.py`), never imported by callers.

`launch.py` makes the namespaces and the id map, `init.py` is PID 1 inside, `mounts.py` builds the root,
`kernel.py` holds the system calls, `seccomp.py` writes the filters, `watch.py` sums what the sandbox uses.
The caller's side is `debroot.sandbox`.
"""
