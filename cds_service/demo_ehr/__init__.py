"""The demo's own small EHR: synthetic patients, FHIR reads, hook calls and a page.

Loopback only, never in production.
"""
