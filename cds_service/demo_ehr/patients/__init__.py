"""Synthetic patients and how their charts are made. Nothing real, and dates relative to one moment."""
