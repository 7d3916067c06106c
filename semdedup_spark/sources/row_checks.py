"""Checks of single rows that Spark makes before any encoder runs: reason codes and messages."""

from __future__ import annotations

from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql.types import BinaryType, DataType

from semdedup_spark.config import SourceConfig
from semdedup_spark.kernels.vectors import WIDTHS
from semdedup_spark.schema.reasons import REASONS
from semdedup_spark.values import is_utf8

TOO_MANY_BYTES = "too_many_bytes"
# Codes whose message is the same for every row.
_FIXED = (
    "unreadable_record",
    "null_id",
    "duplicate_id",
    "null_text",
    "invalid_utf8",
    "empty_text",
    "null_image",
    "empty_image",
    "null_vector",
    "wrong_batch",
)
WORDS = {code: REASONS[code].when for code in _FIXED}


def content_reason(
    payload: Column, source: SourceConfig, of_type: DataType, dimension: int | None
) -> Column:
    """Find the reason why an encoder must not see a payload.

    Parameters
    ----------
    payload
        What the encoder would get.
    source
        The source, for its kind and its limits.
    of_type
        Type of the payload.
    dimension
        Length of the vectors, ``None`` for other kinds.

    Returns
    -------
    Column
        String. A reason code, or null if the payload is good.
    """
    most = source.max_bytes
    match source.kind:
        case "text":
            return _text_reason(payload, most)
        case "images":
            return _image_reason(payload, most)
        case "image_text":
            image, text = payload["image"], payload["text"]
            return F.coalesce(_image_reason(image, most), _text_reason(text, most))
    usual = entries(payload, of_type, source).eqNullSafe(F.lit(dimension))
    return F.when(payload.isNull(), "null_vector").when(~usual, "wrong_length")


def message_of(reason: Column, dimension: int | None, max_bytes: int) -> Column:
    """Put a reason into words.

    Parameters
    ----------
    reason
        A reason code.
    dimension
        Length of the vectors, ``None`` for other kinds.
    max_bytes
        The limit ``source.max_bytes``.

    Returns
    -------
    Column
        String. Null for a code that this module does not know.
    """
    words = {
        **WORDS,
        "wrong_length": f"{REASONS['wrong_length'].when}, {dimension}",
    }
    message = F.when(reason == TOO_MANY_BYTES, too_many_bytes(max_bytes))
    for code, text in words.items():
        message = F.when(reason == code, F.lit(text)).otherwise(message)
    return message


def too_many_bytes(max_bytes: int) -> Column:
    """Make the message for a payload that is larger than the limit.

    Parameters
    ----------
    max_bytes
        The limit ``source.max_bytes``.

    Returns
    -------
    Column
        String.
    """
    return F.lit(f"a text or image must have at most {max_bytes} bytes (source.max_bytes)")


def entries(payload: Column, of_type: DataType, source: SourceConfig) -> Column:
    """Count the numbers of a vector.

    Parameters
    ----------
    payload
        A vector: an array, or bytes of ``source.dtype``.
    of_type
        Type of the payload.
    source
        The source, for its dtype.

    Returns
    -------
    Column
        Int. Null for a null payload, and for bytes that are not a whole number of values.
    """
    if isinstance(of_type, BinaryType):
        size, width = F.length(payload), WIDTHS[source.dtype or "float32"]
        return F.when(size % width == 0, (size / width).cast("int"))
    return F.when(payload.isNotNull(), F.size(payload))


def _text_reason(text: Column, most: int) -> Column:
    return (
        F.when(text.isNull(), "null_text")
        .when(F.octet_length(text) > most, TOO_MANY_BYTES)
        .when(~is_utf8(text), "invalid_utf8")
        .when(text.rlike(r"^[\s\p{Z}\p{Cc}\p{Cf}]*$"), "empty_text")
    )


def _image_reason(image: Column, most: int) -> Column:
    return (
        F.when(image.isNull(), "null_image")
        .when(F.length(image) == 0, "empty_image")
        .when(F.length(image) > most, TOO_MANY_BYTES)
    )
