"""python -m deb_bootc_compose: how a compose starts its tasks with the Python that it runs itself."""

from deb_bootc_compose.cli import main

main()
