"""Pages for people: server-rendered, readable without JavaScript; only the live tail of a log uses a script."""

from deb_orchestrator.web.ui.pages import add_ui

__all__ = ["add_ui"]
