"""What a selection depends on: presets by what they find, and nothing new without presets."""

from dataclasses import replace
from types import SimpleNamespace

from semdedup_spark.config import SelectConfig, canonical_json
from semdedup_spark.pipeline.stages.select.select_inputs import selection_inputs
from semdedup_spark.presets import PRESETS

SCORE, EMBED = SimpleNamespace(result_key="key"), SimpleNamespace(counts={})


def inputs(*must_agree):
    asked = SelectConfig(must_agree=list(must_agree)).must_agree
    return selection_inputs(SCORE, EMBED, {"overrides": "none"}, [a.model_dump() for a in asked])


def test_without_what_must_agree_a_selection_has_the_identity_that_release_0_2_gave_it():
    without = {"scores": "key", "overrides": "none", "tables": "with assignment"}
    assert inputs() == without
    agreeing = {**without, "agreement": "nearest that agrees, as SQL compares"}
    assert inputs("lang", {"column": "text", "pattern": r"\d+"}) == agreeing
    select = SelectConfig(must_agree=["lang", {"column": "text", "pattern": r"\d+"}])
    assert canonical_json(select.identity()["must_agree"]) == (
        r'[{"column": "lang", "pattern": null}, {"column": "text", "pattern": "\\d+"}]'
    )


def test_a_preset_that_finds_something_else_makes_another_selection(monkeypatch):
    asked = {"column": "text", "preset": ["numbers", "dates"]}
    before = inputs("lang", asked)
    assert before == inputs(asked, {"column": "title", "preset": "numbers"})
    monkeypatch.setitem(PRESETS, "units", replace(PRESETS["units"], pattern="x"))
    assert inputs(asked) == before
    monkeypatch.setitem(PRESETS, "dates", replace(PRESETS["dates"], pattern="x"))
    assert inputs(asked) != before
