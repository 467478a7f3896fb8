"""Trials of a model against silence: who is in which arm, by a file with the protocol."""
