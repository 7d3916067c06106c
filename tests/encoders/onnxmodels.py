"""Tiny models in the ONNX format with random weights, and plain tokenisers beside them."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tests.encoders.textmodels import WORDS, tokenizer

WIDTH = 16
_BERT = ("[CLS] $A [SEP]", [("[CLS]", 2), ("[SEP]", 3)])


def save_onnx(directory, *, dynamic=False, inputs=("input_ids", "attention_mask"), place=""):
    """Save a model whose token vectors are rows of a table times a matrix; return both arrays.

    ``dynamic``: the product is computed on 8-bit numbers, scaled by all that the model is given.
    """
    rng = np.random.default_rng(0)
    table = rng.standard_normal((len(WORDS) + 4, WIDTH)).astype(np.float32)
    table *= np.linspace(0.1, 10, len(table), dtype=np.float32)[:, None]
    matrix = rng.standard_normal((WIDTH, WIDTH)).astype(np.float32)
    nodes = [helper.make_node("Gather", ["table", "input_ids"], ["rows"])]
    weights = {"table": table, "matrix": matrix}
    if dynamic:
        weights = {"table": table, "matrix": np.clip(matrix * 40, -127, 127).astype(np.int8)}
        nodes += [
            helper.make_node("DynamicQuantizeLinear", ["rows"], ["small", "scale", "zero"]),
            helper.make_node("MatMulInteger", ["small", "matrix", "zero"], ["whole"]),
            helper.make_node("Cast", ["whole"], ["product"], to=TensorProto.FLOAT),
            helper.make_node("Mul", ["product", "scale"], ["token_vectors"]),
        ]
    else:
        nodes += [helper.make_node("MatMul", ["rows", "matrix"], ["token_vectors"])]
    nodes += [helper.make_node("Shape", ["input_ids"], ["shape"])]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info(name, TensorProto.INT64, ["b", "l"]) for name in inputs],
        [
            helper.make_tensor_value_info("shape", TensorProto.INT64, [2]),
            helper.make_tensor_value_info("token_vectors", TensorProto.FLOAT, ["b", "l", WIDTH]),
        ],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    file = directory / place / "model.onnx"
    file.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, file)
    tokenizer(_BERT).backend_tokenizer.save(str(directory / "tokenizer.json"))
    return table, matrix
