"""What can go wrong while explaining.

ExplanationError
├── NotExact           reasons do not add up to the score
└── PhrasesIncomplete  a locale lacks words for something that can be shown
"""

from __future__ import annotations


class ExplanationError(Exception):
    """Base of this package."""


class NotExact(ExplanationError):
    """Reasons do not add up to the score."""


class PhrasesIncomplete(ExplanationError):
    """A locale lacks words for something that can be shown."""
