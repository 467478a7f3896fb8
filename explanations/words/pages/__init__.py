"""Wording for pages only: data availability, full estimates, medicines, other questionnaires, trends."""
