"""The chart of a session as pages. Reads with the token of the launch; writes nothing."""
