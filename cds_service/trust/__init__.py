"""Authentication: the token of a CDS client, and the order of the checks before any work."""
