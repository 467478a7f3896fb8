"""Findings in words: answers, coded events, what contradicts itself, what was not had, the steps after a finding."""
