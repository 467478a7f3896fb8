"""Conclusions and their reasons: rules first, then estimates, then why."""
