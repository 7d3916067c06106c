"""How rows become vectors."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from semdedup_spark.config.strict import OPERATIONAL, Number, StrictModel

# Which encoders fit which kind of source; encoders/registry.py says where they are.
FITTING = {
    "text": ("minilm", "hf-text", "sentence-transformers"),
    "images": ("pixels",),
    "vectors": ("none",),
    "image_text": (),
}
# Encoders without a model of their own.
NEEDS_MODEL = ("hf-text", "sentence-transformers")


class EmbedConfig(StrictModel):
    """How rows become vectors."""

    encoder: Literal["minilm", "hf-text", "sentence-transformers", "pixels", "none"] = "minilm"
    model: str | None = None
    trust_remote_code: bool = False
    max_length: int | None = Field(default=None, ge=8)
    long_text: Literal["truncate", "chunk-mean", "reject"] = "truncate"
    pooling: Literal["mean", "cls", "last"] | None = None
    tower: Literal["image", "text", "image+text"] | None = None
    image_size: int = Field(default=32, ge=1, le=1024)
    max_pixels: int = Field(default=89_478_485, ge=1)
    precision: Literal["float32", "bfloat16", "float16"] = "float32"
    device: Literal["auto", "cpu", "cuda"] = Field(default="auto", json_schema_extra=OPERATIONAL)
    batch_size: Annotated[int, Field(ge=1)] | Literal["auto"] = Field(
        default="auto", json_schema_extra=OPERATIONAL
    )
    gpu_memory_fraction: Number | None = Field(
        default=None, gt=0, le=1, json_schema_extra=OPERATIONAL
    )
    decode_seconds: Number = Field(default=60.0, gt=0, json_schema_extra=OPERATIONAL)
    commit_seconds: Number = Field(default=60.0, gt=0, json_schema_extra=OPERATIONAL)

    @model_validator(mode="after")
    def _check(self) -> EmbedConfig:
        if self.encoder in NEEDS_MODEL and self.model is None:
            raise ValueError(f"encoder {self.encoder} needs model: a local directory or a hub id")
        if self.encoder == "sentence-transformers" and self.pooling is not None:
            raise ValueError(
                "encoder sentence-transformers pools as its directory says: leave pooling null, or "
                f"set encoder hf-text. Got {self.pooling}"
            )
        return self
