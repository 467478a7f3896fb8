"""From a launch to a session, and the guard before every page."""
