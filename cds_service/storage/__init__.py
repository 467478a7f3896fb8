"""Data that outlives a request: tables and their versions; one transaction per method.

The only room that uses SQLAlchemy and Alembic. `hooks.audit` decides what may be written about a response.
"""
