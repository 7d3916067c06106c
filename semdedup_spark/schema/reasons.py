"""Why a row is in quarantine: every code, in words, and what to do about it.

The reference page of the tables shows them. They are also the messages of rows that Spark checks.
Encoders word their own messages, as they know no schema.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Reason:
    """What one code in the column ``reason`` of ``quarantine`` means.

    Attributes
    ----------
    when
        What is wrong with the row.
    remedy
        What to do about it.
    """

    when: str
    remedy: str


_NOTHING_TO_COMPARE = "nothing, if such a row may stay away; otherwise fill it in the source"
_NEW_VECTOR = "compute it again, where it is a vector of your own"

REASONS = {
    "unreadable_record": Reason(
        "the reader could not parse the record; source holds its text",
        "correct the line; or name in source.options how the file is written, such as sep, escape "
        "or allowSingleQuotes; or in source.types a type that its values have",
    ),
    "null_id": Reason(
        "the id is null",
        "give the row a key, or set source.id to content_hash()",
    ),
    "duplicate_id": Reason(
        "another row with this id is kept: that of the earliest batch, then of the lowest hash",
        "nothing, if the rows are the same; otherwise name a key that is unique in source.id, or "
        "content_hash()",
    ),
    "wrong_batch": Reason(
        "source.batch must hold a whole number from 0 to 2147483647",
        "correct the column, or leave source.batch unset",
    ),
    "null_text": Reason("the text is null", _NOTHING_TO_COMPARE),
    "empty_text": Reason(
        "the text is empty, or has only white space and invisible characters", _NOTHING_TO_COMPARE
    ),
    "invalid_utf8": Reason(
        "the text is not valid UTF-8", "write the text again, in the encoding that it was made in"
    ),
    "no_tokens": Reason(
        "the model's tokeniser finds no tokens in the text",
        "nothing, if such a row may stay away; otherwise choose an encoder that knows its script",
    ),
    "over_long_text": Reason(
        "the text has more tokens than embed.max_length, and embed.long_text is reject",
        "set embed.long_text to truncate or chunk-mean",
    ),
    "too_many_bytes": Reason(
        "the text or image has more bytes than source.max_bytes",
        "cut it into rows; or raise source.max_bytes, if a worker has memory for it",
    ),
    "null_image": Reason("the image is null", _NOTHING_TO_COMPARE),
    "empty_image": Reason("the image has no bytes", "fetch the file again"),
    "undecodable_image": Reason(
        "the bytes are no picture that Pillow decodes",
        "convert it to another format, or fetch it again; a page of HTML in place of a picture is "
        "such a row, too",
    ),
    "truncated_image": Reason("the image file is cut off", "fetch the file again"),
    "too_many_pixels": Reason(
        "the image has more than embed.max_pixels, or takes more than embed.max_decoded_mb to "
        "decode",
        "make it smaller; or raise the limit that the message names, if a worker has memory for it",
    ),
    "decode_timeout": Reason(
        "decoding or tokenising took longer than embed.decode_seconds",
        "on a slow machine raise embed.decode_seconds: a run over a changed source tries the row "
        "again; otherwise write the content anew",
    ),
    "no_image": Reason(
        "the row has no image, and embed.tower wants one", "fill it, or choose another embed.tower"
    ),
    "no_text": Reason(
        "the row has no text, and embed.tower wants one", "fill it, or choose another embed.tower"
    ),
    "null_vector": Reason("the vector is null", _NOTHING_TO_COMPARE),
    "wrong_length": Reason(
        "the vector must have the usual length",
        "compute it again with the model of the others; or set source.dimension, if the most "
        "common length is not the right one",
    ),
    "zero_vector": Reason(
        "the vector has length zero, so it has no direction",
        f"{_NEW_VECTOR}; a picture that is black all over has none with the encoder pixels",
    ),
    "non_finite_vector": Reason(
        "the vector holds NaN or infinity",
        f"{_NEW_VECTOR}; otherwise leave embed.precision at float32",
    ),
    "missing_member": Reason(
        "the sample of a tar shard lacks the member that is embedded, or its caption",
        "nothing, if it may stay away; otherwise name another member in source.content or "
        "source.text",
    ),
    "member_too_large": Reason(
        "the members read of a sample have more bytes together than source.max_bytes",
        "raise source.max_bytes, if a worker has memory for it",
    ),
    "damaged_shard": Reason(
        "the tar shard is cut or damaged here; the shard has a row of its own, too",
        "fetch or write the shard again",
    ),
    "unstable_payload": Reason(
        "the row had no vector at first, and one when it was tried again",
        "nothing: a run over a changed source tries it again; if it stays so, look at the machine "
        "and at embed.decode_seconds",
    ),
}
