"""What a preset finds, with Python's `re` in place of Spark."""

from __future__ import annotations

import re

from semdedup_spark.presets.preset import FOLDED, Preset, Rewrites

_FOLD = str.maketrans(*FOLDED)


def found(preset: Preset, text: str) -> list[str]:
    """As the transform compares it."""
    matches = (m[0] for m in re.finditer(preset.pattern, text.translate(_FOLD), re.IGNORECASE))
    values = []
    for match in matches:
        words = _rewritten(match, preset.before).lower().split(" ")
        joined = " ".join(preset.words.get(word, word) for word in words)
        values.append(_rewritten(joined, preset.after))
    return sorted(value for value in values if value)


def _rewritten(text: str, rewrites: Rewrites) -> str:
    for pattern, replacement in rewrites:
        text = re.sub(
            pattern, re.sub(r"\$(\d)", r"\\g<\1>", replacement), text, flags=re.IGNORECASE
        )
    return text
