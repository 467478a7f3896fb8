"""Estimates in words: the inputs, the outcomes, and why there is no score. One row each, complete at import."""
