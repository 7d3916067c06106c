"""How rows become vectors."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from semdedup_spark.config.strict import OPERATIONAL, Number, StrictModel

# Which encoders fit which kind of source; encoders/registry.py says where they are.
FITTING = {
    "text": ("minilm",),
    "images": ("pixels",),
    "vectors": ("none",),
    "image_text": (),
}


class EmbedConfig(StrictModel):
    """How rows become vectors."""

    encoder: Literal["minilm", "pixels", "none"] = "minilm"
    model: str | None = None
    trust_remote_code: bool = False
    max_length: int = Field(default=256, ge=8)
    long_text: Literal["truncate", "chunk-mean", "reject"] = "truncate"
    pooling: Literal["mean", "cls", "last"] | None = None
    tower: Literal["image", "text", "image+text"] | None = None
    image_size: int = Field(default=32, ge=1, le=1024)
    max_pixels: int = Field(default=89_478_485, ge=1)
    precision: Literal["float32", "bfloat16", "float16"] = "float32"
    device: Literal["auto", "cpu", "cuda"] = Field(default="auto", json_schema_extra=OPERATIONAL)
    batch_size: int = Field(default=32, ge=1, json_schema_extra=OPERATIONAL)
    commit_seconds: Number = Field(default=60.0, gt=0, json_schema_extra=OPERATIONAL)
