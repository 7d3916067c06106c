"""The template by which several columns become one text."""

from __future__ import annotations

from collections.abc import Sequence

from semdedup_spark.errors import SourceError

# For columns whose values Spark, pandas and Arrow write in different ways.
CAST_TO_TEXT = "cast it to text: numbers with a fraction and times are written in several ways."


def check_template(template: str | None, names: Sequence[str]) -> None:
    """Refuse a template that leaves out a column.

    Parameters
    ----------
    template
        Text with the name of each column in braces, such as ``"{artist}: {title}"``. ``None``: no
        template.
    names
        The columns that it joins.

    Raises
    ------
    SourceError
        It lacks one.
    """
    texts = (f"{{{name}}}" for name in names)
    lacking = [text for text in texts if template is not None and text not in template]
    if lacking:
        raise SourceError(
            f"template must hold each column of content. Got {template!r}, which lacks "
            f"{', '.join(lacking)}."
        )
