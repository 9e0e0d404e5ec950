"""`python -m deb_orchestrator`."""

from deb_orchestrator.cli import main

main()
