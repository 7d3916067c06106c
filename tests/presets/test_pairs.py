"""Every preset protects what it must and nothing that it must not, in Spark and in Python."""

from __future__ import annotations

from dataclasses import replace

from semdedup_spark.presets import PRESETS, identity_of_presets
from tests.presets.pairs import AGREEING, PROTECTED, WRONG
from tests.presets.without_spark import found

# (preset, one, other, whether the pair is protected)
PAIRS = [
    *((name, *pair, True) for name, pairs in PROTECTED.items() for pair in pairs),
    *((name, *pair, False) for name, pairs in AGREEING.items() for pair in pairs),
    *((p.name, *p.differ, True) for p in PRESETS.values()),
    *((p.name, *p.same, False) for p in PRESETS.values()),
    *WRONG,
]


def failing(found_in):
    """Pairs with another outcome than they must have. ``found_in``: (preset, text) to matches."""
    return [
        (name, "not protected" if protects else "protected", one, other, a, b)
        for name, one, other, protects in PAIRS
        for a, b in [(found_in[name, one], found_in[name, other])]
        if (a != b) != protects
    ]


def in_python():
    return {(name, text): found(PRESETS[name], text) for name, *pair, _ in PAIRS for text in pair}


def test_each_preset_has_a_dozen_pairs_of_each_kind():
    assert PROTECTED.keys() == AGREEING.keys() == PRESETS.keys()
    assert min(len(pairs) for pairs in [*PROTECTED.values(), *AGREEING.values()]) >= 12
    assert {name for name, *_ in WRONG} == PRESETS.keys()
    assert all(one != other for _, one, other, _ in PAIRS)


def test_the_pairs_are_decided_as_they_must_be_without_spark():
    assert failing(in_python()) == []


def test_the_pairs_are_decided_as_they_must_be_in_spark(spark):
    from pyspark.sql import functions as F

    from semdedup_spark.transforms.select.agreement import Agreement, agreement_values

    texts = sorted({text for _, *pair, _ in PAIRS for text in pair})
    rows = spark.createDataFrame(list(enumerate(texts)), "id int, text string").coalesce(1)
    rows = rows.select("id", F.struct("text").alias("source"))
    asked = [Agreement("text", preset=preset) for preset in PRESETS.values()]
    in_spark = {
        (name, texts[row["id"]]): matches
        for row in agreement_values(rows, asked).collect()
        for name, matches in zip(PRESETS, row["value"], strict=True)
    }
    assert failing(in_spark) == []
    # Python's `re` and Java find the same, also where no pair depends on it.
    assert {key: in_spark[key] for key in in_python()} == in_python()


def test_long_lists_do_not_overflow_the_stack_of_java(spark):
    from pyspark.sql import functions as F

    from semdedup_spark.transforms.select.preset_matches import preset_matches

    parts = (
        "1,",
        "1.",
        "1'000",
        "1-",
        "10 mg/",
        "v1.",
        "not ",
        "'a",
        "\u201ca",
        "draft-",
        "may ",
        "a",
    )
    rows = spark.createDataFrame([(part * 20_000,) for part in parts], "text string").coalesce(1)
    sizes = [F.size(preset_matches(F.col("text"), preset)) for preset in PRESETS.values()]
    found_in = {row[0]: row[1:] for row in rows.select(F.substring("text", 1, 6), *sizes).collect()}
    assert len(found_in) == len(parts)
    assert max(found_in["not no"]) == 20_000


def test_the_identity_of_a_preset_changes_with_what_it_finds():
    numbers = PRESETS["numbers"]
    changes = (
        {"pattern": numbers.pattern + "|x"},
        {"before": numbers.before[1:]},
        {"words": {**numbers.words, "one": "1"}},
        {"after": (("x", "y"),)},
    )
    others = {replace(numbers, **change).identity for change in changes}
    assert len(others | {numbers.identity}) == 5
    assert replace(numbers, protects="else", languages="none").identity == numbers.identity


def test_presets_have_one_identity_in_any_order(monkeypatch):
    both = identity_of_presets(["numbers", "dates"])
    assert both == identity_of_presets(["dates", "numbers", "dates"])
    assert "of_tomorrow unknown" in identity_of_presets(["of_tomorrow"])
    other = replace(PRESETS["dates"], pattern="x")
    monkeypatch.setitem(PRESETS, "dates", other)
    assert identity_of_presets(["numbers", "dates"]) != both
