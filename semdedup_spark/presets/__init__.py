"""Presets of ``select.must_agree``: patterns with a name."""

from __future__ import annotations

from collections.abc import Sequence

from semdedup_spark.presets.dates import DATES
from semdedup_spark.presets.numbers import NUMBERS, VERSIONS
from semdedup_spark.presets.preset import Preset
from semdedup_spark.presets.units import UNITS
from semdedup_spark.presets.words import NAMES_IN_QUOTES, NEGATION, STAGES

PRESETS: dict[str, Preset] = {
    preset.name: preset
    for preset in (NUMBERS, VERSIONS, STAGES, DATES, UNITS, NEGATION, NAMES_IN_QUOTES)
}


def identity_of_presets(names: Sequence[str]) -> str:
    """Tell what presets find, as later releases may find something else.

    Parameters
    ----------
    names
        Names of presets; a name that this release does not know is one, too.

    Returns
    -------
    str
        Each name once with the hash of its definition.
    """
    return ", ".join(
        f"{name} {PRESETS[name].identity if name in PRESETS else 'unknown'}"
        for name in sorted(set(names))
    )
