"""What a hook call costs, beside a reference on the same machine: `make bench`, docs/benchmarks.md.

A measuring tool, run by hand: nothing here is a test, and no test depends on a time. It starts real servers on loopback
and ends them. It may use tests/ehr.py; of what is outside, only tests/cost_guard.py imports it, for the same bodies.
"""
