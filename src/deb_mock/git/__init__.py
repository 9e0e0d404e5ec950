"""Sources in git, in the layouts of git-buildpackage.

git and pristine-tar run in a sandbox of the tools root, as a user without rights, on a repository whose configuration
is ours: its hooks, filters and settings are not even copied. Only the clone of a URL sees the network.
"""
