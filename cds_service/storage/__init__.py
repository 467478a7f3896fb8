"""What outlives a request: tables, their versions, and one transaction a method.

The only room that uses SQLAlchemy and Alembic. What may be written of an answer is decided in `hooks.audit`.
"""
