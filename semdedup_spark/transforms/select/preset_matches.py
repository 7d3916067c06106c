"""What a preset finds in a text, as Spark computes it."""

from __future__ import annotations

from pyspark.sql import Column
from pyspark.sql import functions as F

from semdedup_spark.presets.preset import FLAGS, FOLDED, Preset, Rewrites


def preset_matches(text: Column, preset: Preset) -> Column:
    """Find what must agree by a preset.

    Parameters
    ----------
    text
        A string.
    preset
        The preset.

    Returns
    -------
    Column
        A sorted array of strings: the matches as they are compared. Null for null.
    """
    folded = F.translate(text, *FOLDED)
    matches = F.regexp_extract_all(folded, F.lit(FLAGS + preset.pattern), F.lit(0))
    values = F.transform(matches, lambda match: _as_compared(match, preset))
    return F.sort_array(F.filter(values, lambda value: value != ""))


def _as_compared(match: Column, preset: Preset) -> Column:
    value = F.lower(_rewritten(match, preset.before))
    others = [(one, word) for one, word in preset.words.items() if one != word]
    if others:
        known = F.create_map(*(F.lit(each) for pair in others for each in pair))
        words = F.transform(F.split(value, " "), lambda w: F.coalesce(F.element_at(known, w), w))
        value = F.array_join(words, " ")
    return _rewritten(value, preset.after)


def _rewritten(text: Column, rewrites: Rewrites) -> Column:
    for pattern, replacement in rewrites:
        text = F.regexp_replace(text, FLAGS + pattern, replacement)
    return text
