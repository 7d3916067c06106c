"""One process that only encodes: what the stage ``embed`` is compared with.

Loads the model, warms up, says ``ready``, waits for a line, encodes its rows, says its CPU seconds.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

import pyarrow.parquet as pq

from semdedup_spark.encoders.protocol import Encoder, EncoderSpec, RejectedPayload
from semdedup_spark.encoders.registry import load_encoder
from semdedup_spark.encoders.stream.encoded_batch import check_vectors

# As much as a worker takes: texts of one length meet, images do not fill the memory.
TEXTS_AT_ONCE, IMAGES_AT_ONCE = 4096, 64
_WARM_UP = 64


def encode_all(encoder: Encoder, payloads: list[Any]) -> None:
    step = TEXTS_AT_ONCE if isinstance(payloads[0], str) else IMAGES_AT_ONCE
    for start in range(0, len(payloads), step):
        prepared = encoder.prepare(payloads[start : start + step])
        good = [each for each in prepared if not isinstance(each, RejectedPayload)]
        check_vectors(encoder.encode(good))


def main() -> None:
    told = json.loads(sys.argv[1])
    if told["threads"] > 1:  # a library that looks at the number of cores sees what it may use
        os.environ["TOKENIZERS_PARALLELISM"] = "true"
    rows = pq.read_table(told["source"], columns=["payload"])["payload"]
    payloads = rows.slice(told["start"], told["rows"]).to_pylist()
    encoder = load_encoder(EncoderSpec(**told["spec"]))
    encode_all(encoder, payloads[:_WARM_UP])
    print("ready", flush=True)
    sys.stdin.readline()
    begun = time.process_time()
    encode_all(encoder, payloads)
    print(time.process_time() - begun, flush=True)


if __name__ == "__main__":
    main()
