"""A positive answer is never answered by silence: a short part of what `make reading-shapes` makes 50,000 of."""

from __future__ import annotations

from reading_shapes import AXES, run


def test_a_positive_answer_in_any_shape_is_never_answered_by_silence() -> None:
    counts = run("short", 1500)

    print(dict(counts.made), dict(counts.alarms))
    assert not counts.faults
    assert set(counts.made) == set(AXES["place"])
    assert sum(number for name, number in counts.alarms.items() if name.startswith("false")) <= 30
