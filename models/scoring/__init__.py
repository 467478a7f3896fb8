"""Verified artifacts, and an exact calibrated score from one. Needs no training tool."""
