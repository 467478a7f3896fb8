"""The safety rules: facts in, findings out. No model, no numpy, no network, no sentence."""
