"""Pages about the chart of a session. Reads with the launch's token; writes nothing."""
