"""Figures of models: discrimination, calibration, flag rates, drift, each with its interval."""
