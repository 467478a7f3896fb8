"""One launch as a session, its cookies, and what waits for a callback. Values and Protocols; no page, no network."""
