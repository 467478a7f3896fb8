"""Judgement, by rule (`safety_rules`) and by statistics (`scoring`); the rules need no model."""
