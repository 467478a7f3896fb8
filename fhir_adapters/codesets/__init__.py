"""Codes, units, names and instruments as data, each row with its source and how far it was verified."""
