"""Public documents about the service: discovery, data needs, OpenAPI, model cards. No patient data."""
