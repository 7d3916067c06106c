"""Where rows come from."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from semdedup_spark.config.strict import LATER, MOST, StrictModel
from semdedup_spark.sql_text import variable_in

CONTENT_HASH = "content_hash()"
# Default column in which Spark's JSON and CSV readers put records that they cannot parse.
CORRUPT_RECORD = "_corrupt_record"
# Formats that define the key and the content themselves.
_SELF_DESCRIBING = ("files", "webdataset", "npy")
_KINDS_OF_FORMAT = {
    "files": ("images",),
    "webdataset": ("images", "text", "image_text"),
    "npy": ("vectors",),
}


class SourceConfig(StrictModel):
    """Where rows come from: the keys ``source`` and ``reference`` of a job file.

    Attributes
    ----------
    kind
        What a row holds: ``text``, ``images``, ``vectors`` or ``image_text``.
    format
        Format of the files at ``path``. ``None`` with ``table``.
    path
        File, directory, glob or URI. Either this or ``table`` is set.
    table
        Name of a catalog table.
    version
        Version of a Delta table. ``None``: the newest.
    id
        Key column, or ``content_hash()``. ``None``: the format's own key.
    content
        Column to embed. ``None``: the format's own content.
    text
        Captions of kind ``image_text``: a column or a member. ``None``: ``txt``.
    batch
        Whole-number column with the batch of a row. ``None``: runs count the batches.
    dtype
        Type of numbers in binary vectors. ``None``: float32, unless a sample looks like another.
    dimension
        Length of the vectors. Others go to quarantine. ``None``: the most common length.
    max_bytes
        Bytes. Larger payloads go to quarantine. Default: 256 MiB, at most 1 GiB.
    columns
        Source columns to carry to the output; of pictures also ``width`` and ``height``, which are
        read from their headers. ``None``: all.
    types
        SQL types of jsonl and csv columns. ``None``: inferred for jsonl, strings for csv.
    metadata
        File with ids or columns of npy vectors. ``None``: none.
    options
        Options of Spark's reader, as strings.
    """

    kind: Literal["text", "images", "vectors", "image_text"]
    format: Literal["delta", "parquet", "jsonl", "csv", "files", "webdataset", "npy"] | None = None
    path: str | None = None
    table: str | None = None
    version: int | None = Field(default=None, ge=0, le=2**63 - 1)
    id: str | None = None
    content: str | None = None
    text: str | None = None
    batch: str | None = None
    dtype: Literal["float16", "bfloat16", "float32", "float64"] | None = Field(
        default=None, json_schema_extra=LATER
    )
    dimension: int | None = Field(default=None, ge=1, le=MOST, json_schema_extra=LATER)
    max_bytes: int = Field(default=256 * 2**20, ge=1, le=2**30, json_schema_extra=LATER)
    columns: list[str] | None = None
    types: str | None = None
    metadata: str | None = None
    options: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _check(self) -> SourceConfig:
        self._check_place()
        self._check_roles()
        if self.kind != "vectors" and (self.dtype is not None or self.dimension is not None):
            raise ValueError("dtype and dimension are those of vectors: they go with kind vectors")
        if self.format == "npy" and self.dtype is not None:
            raise ValueError("dtype says what bytes are; .npy files know their own")
        if self.columns is not None and len(set(self.columns)) != max(len(self.columns), 1):
            raise ValueError("columns must name at least one column, and each once")
        if self.types is not None and self.format not in ("jsonl", "csv"):
            raise ValueError("types goes with format jsonl or csv; others know their own types")
        options = {name.lower(): value.upper() for name, value in self.options.items()}
        if options.get("mode") == "DROPMALFORMED":
            raise ValueError("options.mode DROPMALFORMED would lose rows; leave it to quarantine")
        careless = {"ignorecorruptfiles", "ignoremissingfiles"}
        if any(options.get(name) == "TRUE" for name in careless):
            raise ValueError("options must not ignore files: their rows would be lost unseen")
        if {"versionasof", "timestampasof"} & options.keys():
            raise ValueError(
                "options must not choose a version; set source.version to its number, which "
                "DESCRIBE HISTORY shows"
            )
        return self

    @property
    def unreadable(self) -> str | None:
        """Column for the text of records that the jsonl and csv readers could not parse.

        Other formats have none (``None``), and may have an ordinary column of that name.
        """
        if self.format not in ("jsonl", "csv"):
            return None
        return self.option("columnNameOfCorruptRecord") or CORRUPT_RECORD

    def option(self, name: str) -> str | None:
        """Look an option of Spark's reader up, ignoring the case of its name.

        Parameters
        ----------
        name
            Name of the option.

        Returns
        -------
        str or None
            Its value. ``None``: not set.
        """
        return next((v for k, v in self.options.items() if k.lower() == name.lower()), None)

    def _check_place(self) -> None:
        if (self.path is None) == (self.table is None):
            raise ValueError("must have either path (with format) or table, and not both")
        if self.table is not None and self.format is not None:
            raise ValueError("format goes with path; a table knows its own format")
        if self.path is not None and self.format is None:
            raise ValueError(
                "path needs format: delta, parquet, jsonl, csv, files, webdataset or npy"
            )
        if self.version is not None and self.table is None and self.format != "delta":
            raise ValueError("version is that of a Delta table: it goes with table or format delta")
        named = self.table or (self.path if self.format == "delta" else None) or ""
        if variable_in(named):
            raise ValueError(
                f"the name of a Delta table must hold no {variable_in(named)}: Spark puts a "
                f"setting or a variable of the environment there. Got {named!r}"
            )
        if self.metadata is not None and self.format != "npy":
            raise ValueError("metadata lies beside format npy; other formats have columns")

    def _check_roles(self) -> None:
        form = self.format or "a table"
        if self.batch is not None and form in ("files", "webdataset"):
            raise ValueError(f"batch names a column, and format {form} has none for it")
        kinds = _KINDS_OF_FORMAT.get(form)
        if kinds is not None and self.kind not in kinds:
            raise ValueError(f"format {form} holds {kinds[0]}: kind must be {' or '.join(kinds)}")
        if self.text is not None and self.kind != "image_text":
            raise ValueError("text names the captions of kind image_text; else content is enough")
        if form == "files" and (self.id is not None or self.content is not None):
            raise ValueError("format files needs no id and no content: the path is the id")
        if form == "npy" and self.content is not None:
            raise ValueError("format npy needs no content: its rows are the vectors")
        if form == "npy" and self.id is not None and self.metadata is None:
            raise ValueError("format npy has row numbers as ids; another id comes with metadata")
        if form in _SELF_DESCRIBING:
            return
        if self.id is None or self.content is None:
            raise ValueError(
                "must name the id column and the content column; where rows have no key, "
                f"id: {CONTENT_HASH} makes one from the content"
            )
        if self.kind == "image_text" and self.text is None:
            raise ValueError(
                "must name the text column of kind image_text, beside content, its images"
            )
