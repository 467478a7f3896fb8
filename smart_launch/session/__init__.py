"""One launch as a session, its cookies, and what is stored of it. Values and Protocols; no page, no network."""
