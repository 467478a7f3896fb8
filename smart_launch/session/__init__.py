"""The session of a launch, its cookies and its storage. Values and Protocols; no page, no network."""
