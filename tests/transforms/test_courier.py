"""Arrays come out of a parcel as they went in."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from semdedup_spark.transforms.courier import from_parcel, parcels_of, to_parcel


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6, dtype="<i8").reshape(2, 3),
        np.array([[np.nan, -0.0, 1e-45]], dtype="<f4"),
        np.zeros((0, 4)),
        np.array(3.5),
        np.array([True, False]),
    ],
)
def test_every_bit_type_and_shape_is_kept(array):
    found = from_parcel(to_parcel(some=array))["some"]
    assert (found.dtype, found.shape, found.tobytes()) == (
        array.dtype,
        array.shape,
        array.tobytes(),
    )


def test_a_column_gives_its_parcels_in_order():
    column = pa.chunked_array([[to_parcel(n=1)], [to_parcel(n=2), to_parcel()]])
    assert [{k: int(v) for k, v in some.items()} for some in parcels_of(column)] == [
        {"n": 1},
        {"n": 2},
        {},
    ]
