"""What can go wrong while explaining.

ExplanationError
├── CatalogueUnreadable  a message catalogue is no .po file
├── NotExact             the reasons do not add up to the score
└── PhrasesIncomplete    something that can be shown has no wording
"""

from __future__ import annotations


class ExplanationError(Exception):
    """Base of this package."""


class CatalogueUnreadable(ExplanationError):
    """A message catalogue is no `.po` file."""


class NotExact(ExplanationError):
    """The reasons do not add up to the score."""


class PhrasesIncomplete(ExplanationError):
    """Something that can be shown has no wording."""
