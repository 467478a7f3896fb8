"""The rows of the screening instruments hold together, and with the code sets, forms and links that they name."""

from __future__ import annotations

import pytest

from explanations.words.help_lines import guideline
from fhir_adapters.codesets.questions import targets
from fhir_adapters.codesets.terminology import table
from fhir_adapters.instruments import Instrument, InstrumentSpec
from fhir_adapters.writing.questionnaires import form


@pytest.mark.parametrize("instrument", Instrument)
def test_a_row_names_nothing_that_there_is_not(instrument: Instrument) -> None:
    spec = instrument.spec
    groups = {row["group"].split(" ")[0] for row in table("instruments")}

    assert spec.code_group is None or f"{spec.code_group}.panel" in groups
    assert spec.site_map or {t.item for t in targets().values() if t.instrument is instrument}
    assert spec.home is None or guideline(spec.home)
    assert spec.safety is None or spec.safety.item in spec.items
    assert set(spec.negative_items or ()) <= set(spec.items)
    assert spec.asked_from is None or form(instrument.value).instrument is instrument
    if spec.scale:
        assert {f"answer.{group}" for group in spec.scale.codes} <= groups
        assert spec.scale.words in {row["instrument"] for row in table("answer_words")}


@pytest.mark.parametrize("instrument", Instrument)
def test_cuts_and_bands_lie_on_the_scale(instrument: Instrument) -> None:
    spec = instrument.spec
    cuts = [cut for cut in (spec.depression_cut, spec.severe_total) if cut is not None]
    starts = [start for start, _ in spec.bands or ()]

    assert all(0 < cut <= spec.top_total for cut in cuts)
    assert cuts == sorted(cuts)
    assert starts == sorted(starts)
    assert starts[:1] in ([], [0])
    assert max(starts, default=0) <= spec.top_total


def test_instruments_of_a_family_have_one_scale() -> None:
    for instrument in Instrument:
        alike = [i.spec for i in Instrument if i.spec.family == instrument.spec.family]

        assert len({(spec.items, spec.scale, spec.bands) for spec in alike}) == 1


def test_a_row_without_a_field_does_not_import() -> None:
    with pytest.raises(TypeError, match="missing 13 required"):
        InstrumentSpec(title="X")
