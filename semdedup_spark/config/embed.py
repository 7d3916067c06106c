"""How rows become vectors."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from semdedup_spark.config.strict import (
    LATER,
    MOST,
    MOST_MB,
    MOST_SECONDS,
    OPERATIONAL,
    Number,
    StrictModel,
)

# Encoders that accept each kind of source. encoders/registry.py maps them to modules.
FITTING = {
    "text": ("minilm", "hf-text", "sentence-transformers", "static", "onnx", "open-clip"),
    "images": ("efficientnet-lite0", "torchvision", "timm", "open-clip", "pixels"),
    "vectors": ("none",),
    "image_text": ("open-clip",),
}
# Encoders without a default model, and what the key model must hold for them.
NEEDS_MODEL = {
    "hf-text": "a local directory or a hub id",
    "sentence-transformers": "a local directory or a hub id",
    "onnx": "a directory with model.onnx and tokenizer.json",
    "torchvision": "such as vgg16:/models/vgg16.pth",
    "timm": "such as resnet50.a1_in1k:/models/resnet50.safetensors",
    "open-clip": "such as ViT-B-16:/models/vit_b_16.safetensors, or a local directory",
}
# Encoders that compute in one way, on the CPU.
PLAIN = ("static", "onnx")
# Encoders that put a prefix before each text.
PREFIXED = ("hf-text", "onnx")
# Towers of open-clip that each kind of source can feed.
TOWERS = {"text": ("text",), "images": ("image",), "image_text": ("image", "text", "image+text")}


class EmbedConfig(StrictModel):
    """How rows become vectors: the key ``embed`` of a job file.

    Attributes
    ----------
    encoder
        Name of the encoder. Default: ``minilm``, for texts.
    model
        Local directory, hub id, or ``name:file`` of a model. ``None``: the encoder's own.
    trust_remote_code
        Whether code that comes with a model may run. Default: no.
    max_length
        Tokens of a text, at least 8. ``None``: the model's own limit.
    long_text
        What happens to longer texts: ``truncate``, ``chunk-mean`` or ``reject``.
    pooling
        ``mean``, ``cls`` or ``last`` token. ``None``: ``mean``.
    prefix
        Text put before each text, by ``hf-text`` and ``onnx``. ``None``: nothing.
    tower
        ``image``, ``text`` or ``image+text``, of open-clip. ``None``: what the source holds.
    image_size
        Pixels per side, for encoder ``pixels``. 1 to 1024, default 32.
    max_pixels
        Pixels. Larger images go to quarantine before they are decoded.
    max_decoded_mb
        MiB that decoding one image may take. Default: 512.
    precision
        Arithmetic of the model: ``float32``, ``bfloat16`` or ``float16``.
    device
        ``auto``, ``cpu`` or ``cuda``. A GPU may move the last bits of a vector.
    batch_size
        Payloads per forward pass, or ``auto``. On a GPU it may move the last bits of a vector.
    gpu_memory_fraction
        Largest share of a GPU's memory for one worker, in (0, 1]. ``None``: all that is free.
    storage
        How vectors are stored in a new table: ``array`` of float, or ``binary`` float32.
    copy_source
        Whether ``embeddings`` has a copy of the source's own columns. Without one they are read
        where they lie, as they were embedded. ``auto``: only where that could not be done, or
        would be slow.
    decode_seconds
        Seconds. A payload that takes longer to decode goes to quarantine. Default: 60.
    commit_seconds
        Seconds between commits to aim for. Default: 60.
    """

    encoder: Literal[
        "minilm",
        "hf-text",
        "sentence-transformers",
        "static",
        "onnx",
        "efficientnet-lite0",
        "torchvision",
        "timm",
        "open-clip",
        "pixels",
        "none",
    ] = "minilm"
    model: str | None = None
    trust_remote_code: bool = False
    max_length: int | None = Field(default=None, ge=8, le=MOST)
    long_text: Literal["truncate", "chunk-mean", "reject"] = "truncate"
    pooling: Literal["mean", "cls", "last"] | None = None
    prefix: str | None = Field(default=None, min_length=1, json_schema_extra=LATER)
    tower: Literal["image", "text", "image+text"] | None = None
    image_size: int = Field(default=32, ge=1, le=1024)
    max_pixels: int = Field(default=89_478_485, ge=1, le=1000 * MOST)
    max_decoded_mb: int = Field(default=512, ge=1, le=MOST_MB, json_schema_extra=LATER)
    precision: Literal["float32", "bfloat16", "float16"] = "float32"
    device: Literal["auto", "cpu", "cuda"] = Field(default="auto", json_schema_extra=OPERATIONAL)
    batch_size: Annotated[int, Field(ge=1, le=MOST)] | Literal["auto"] = Field(
        default="auto", json_schema_extra=OPERATIONAL
    )
    gpu_memory_fraction: Number | None = Field(
        default=None, gt=0, le=1, json_schema_extra=OPERATIONAL
    )
    storage: Literal["array", "binary"] = Field(default="array", json_schema_extra=OPERATIONAL)
    copy_source: bool | Literal["auto"] = Field(default="auto", json_schema_extra=LATER)
    decode_seconds: Number = Field(
        default=60.0, gt=0, le=MOST_SECONDS, json_schema_extra=OPERATIONAL
    )
    commit_seconds: Number = Field(
        default=60.0, gt=0, le=MOST_SECONDS, json_schema_extra=OPERATIONAL
    )

    @model_validator(mode="after")
    def _check(self) -> EmbedConfig:
        if self.encoder in NEEDS_MODEL and self.model is None:
            raise ValueError(f"encoder {self.encoder} needs model: {NEEDS_MODEL[self.encoder]}")
        if self.encoder == "sentence-transformers" and self.pooling is not None:
            raise ValueError(
                "encoder sentence-transformers pools as its directory says: leave pooling null, or "
                f"set encoder hf-text. Got {self.pooling}"
            )
        if self.encoder == "static" and self.pooling is not None:
            raise ValueError(
                f"encoder static averages the vectors of tokens: leave pooling null. "
                f"Got {self.pooling}"
            )
        if self.encoder in PLAIN and (self.precision != "float32" or self.device == "cuda"):
            raise ValueError(
                f"encoder {self.encoder} computes on the CPU, as its file says: leave precision "
                f"float32 and device auto. Got {self.precision} and {self.device}"
            )
        if self.encoder not in PREFIXED and self.prefix is not None:
            raise ValueError(
                f"prefix is a key of encoders {' and '.join(PREFIXED)}. Got encoder {self.encoder}"
            )
        if self.encoder != "open-clip" and self.tower is not None:
            raise ValueError(f"tower is a key of encoder open-clip. Got encoder {self.encoder}")
        if self.encoder == "open-clip" and (self.max_length, self.long_text) != (None, "truncate"):
            raise ValueError(
                "encoder open-clip cuts texts to the length it was trained with: leave max_length "
                f"null and long_text truncate. Got {self.max_length} and {self.long_text}"
            )
        return self
