"""The service as a SMART backend client: its own token at a site, and reads and writes with it."""
