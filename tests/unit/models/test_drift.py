import numpy as np
import pytest

from models.errors import LabelsError
from models.evaluation.drift import LEAST_PEOPLE, UNLIKE_PSI, input_shifts, reference
from models.inputs.feature_schema import SCHEMAS
from models.inputs.outcomes import Outcome

SCHEMA = SCHEMAS[Outcome.DEPRESSION]
AT = {name: n for n, name in enumerate(SCHEMA.names)}


def population(n: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    columns = []
    for spec in SCHEMA.features:
        if spec.kind == "boolean":
            values = (rng.random(n) < 0.2).astype(float)
        elif spec.kind == "ordinal":
            values = rng.integers(0, 4, n).astype(float)
        else:
            values = rng.gamma(3, 10, n)
        columns.append(np.where(rng.random(n) < 0.1, np.nan, values))
    return np.column_stack(columns).astype(np.float32)


def rows(matrix: np.ndarray) -> list[list[float | None]]:
    return [[None if np.isnan(v) else float(v) for v in row] for row in matrix]


TRAINED_ON = reference(SCHEMA, population(20_000, 1))


@pytest.mark.parametrize("n", [LEAST_PEOPLE, 300, 5000])
def test_people_of_the_same_mix_raise_no_warning(n: int):
    warned = [shift.name for shift in input_shifts(SCHEMA, TRAINED_ON, rows(population(n, 2))) if shift.unlike]

    assert warned == []


def test_an_input_that_is_hardly_ever_known_here_is_warned_of():
    matrix = population(400, 3)
    matrix[20:, AT["gen_health"]] = np.nan

    found = {shift.name: shift for shift in input_shifts(SCHEMA, TRAINED_ON, rows(matrix))}

    assert found["gen_health"].unlike
    assert found["gen_health"].known == pytest.approx(0.05, abs=0.02)
    assert found["gen_health"].psi is None, "too few known to compare values"


@pytest.mark.parametrize(("name", "shift"), [("age", 40.0), ("smoke_status", 2.0), ("rx_ssri", 1.0)])
def test_values_that_lie_elsewhere_are_warned_of_and_no_other_input_is(name: str, shift: float):
    matrix = population(600, 4)
    matrix[:300, AT[name]] = shift

    warned = {found.name: found for found in input_shifts(SCHEMA, TRAINED_ON, rows(matrix)) if found.unlike}

    assert list(warned) == [name]
    assert warned[name].psi > UNLIKE_PSI


def test_an_input_that_nobody_had_in_training_is_compared_by_how_often_it_is_known():
    trained_on = reference(SCHEMA, np.where(np.arange(len(SCHEMA.names)) == AT["n_rx"], np.nan, population(2000, 5)))

    found = {shift.name: shift for shift in input_shifts(SCHEMA, trained_on, rows(population(200, 6)))}

    assert found["n_rx"].unlike
    assert found["n_rx"].psi is None


def test_too_few_charts_are_refused():
    with pytest.raises(LabelsError, match=f"at least {LEAST_PEOPLE} people; found {LEAST_PEOPLE - 1}"):
        input_shifts(SCHEMA, TRAINED_ON, rows(population(LEAST_PEOPLE - 1, 7)))
