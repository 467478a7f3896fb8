"""NHANES tables as rows for training and evaluation. Offline only; no serving worker imports it."""
