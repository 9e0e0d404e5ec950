"""Trees made on a hub's builders: for architectures that this host is not.

order   this host's side: what goes to the hub, what comes back
job     the builder's side: a job directory of kind `task`
pack    a finished tree as one file, and back
"""
