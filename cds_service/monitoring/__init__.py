"""Models at a site: what was scored, what was measured afterwards, what follows; no rule depends on it."""
