"""Open documents about the service: discovery, what it reads and why, its OpenAPI, its model cards. No patient data."""
