"""Findings in words: answers, coded events, anomalies, gaps, and the steps after a finding."""
