"""Keys compare as SQL compares: the rules of Spark's ORDER BY, once more in plain Python."""

from __future__ import annotations

import functools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from semdedup_spark.kernels.rank_key import KeyTerm, order_keys


def compare(a, b):
    """-1, 0 or 1 as Spark compares two values that are not null."""
    if isinstance(a, float):
        a, b = (
            (math.isnan(a), 0 if math.isnan(a) else a),
            (math.isnan(b), 0 if math.isnan(b) else b),
        )
    return (a > b) - (a < b)


def compare_rows(a, b, orders):
    for x, y, (descending, nulls_first) in zip(a, b, orders, strict=True):
        if (x is None) != (y is None):
            return -1 if (x is None) == nulls_first else 1
        if x is not None and compare(x, y):
            return -compare(x, y) if descending else compare(x, y)
    return 0


def words(number):
    return [number % 2**64, (number >> 64) % 2**64]


def term(values, kind, descending=False, nulls_first=True):
    present = np.array([value is not None for value in values], dtype=bool)
    if kind == "decimal":
        column = np.array([words(v or 0) for v in values], dtype=np.uint64).reshape(-1, 2)
    elif kind == "string":
        column = [None if v is None else v.encode() for v in values]
    elif kind == "binary":
        column = values
    else:
        column = np.array([v or 0 for v in values], dtype=kind)
    return KeyTerm(column, present, descending, nulls_first)


def in_order(values, kind, **order):
    keys = order_keys([term(values, kind, **order)])
    return [values[i] for i in sorted(range(len(values)), key=keys.__getitem__)]


KINDS = {
    "bool": st.booleans(),
    **{f"int{8 * w}": st.integers(-(2 ** (8 * w - 1)), 2 ** (8 * w - 1) - 1) for w in (1, 2, 4, 8)},
    "float32": st.floats(width=32),
    "float64": st.floats(),
    "decimal": st.integers(-(10**38) + 1, 10**38 - 1),
    "string": st.text(st.sampled_from("\0\1a\x7f\xe9\uffff\U0001f600"), max_size=4),
    "binary": st.binary(max_size=3),
}
# Close values, so that ties and neighbors are common.
NEAR = {kind: st.one_of(st.sampled_from([0, 1, -1]), KINDS[kind]) for kind in ("int8", "int64")}
NEAR |= {
    kind: st.one_of(st.sampled_from([0.0, -0.0, math.nan, math.inf, -math.inf]), KINDS[kind])
    for kind in ("float32", "float64")
}


@st.composite
def tables(draw):
    """Up to three terms over up to seven rows: kinds, orders, rows."""
    kinds = draw(st.lists(st.sampled_from(sorted(KINDS)), min_size=1, max_size=3))
    orders = [draw(st.tuples(st.booleans(), st.booleans())) for _ in kinds]
    row = st.tuples(*(st.none() | NEAR.get(kind, KINDS[kind]) for kind in kinds))
    return kinds, orders, draw(st.lists(row, max_size=7))


@given(tables())
def test_keys_compare_as_sql_compares_the_rows(table):
    kinds, orders, rows = table
    columns = list(zip(*rows, strict=True)) or [()] * len(kinds)
    terms = [term(list(c), k, *o) for c, k, o in zip(columns, kinds, orders, strict=True)]
    keys = order_keys(terms)
    assert len(keys) == len(rows)
    for key, row in zip(keys, rows, strict=True):
        for other_key, other in zip(keys, rows, strict=True):
            assert compare(key, other_key) == compare_rows(row, other, orders), (row, other)


@given(st.lists(st.integers(0, 30), max_size=30), st.booleans())
def test_sorting_by_key_is_sorting_by_value(numbers, descending):
    texts = [None if n == 0 else "a" * (n % 7) + "\0" * (n % 3) for n in numbers]
    order = functools.partial(compare_rows, orders=[(descending, not descending)])
    by_value = sorted(texts, key=functools.cmp_to_key(lambda a, b: order([a], [b])))
    assert in_order(texts, "string", descending=descending, nulls_first=not descending) == by_value


def test_a_prefix_comes_before_what_it_begins_also_where_bytes_are_zero():
    texts = ["", "\0", "\0\0", "\0a", "a", "a\0", "a\0\0", "a\0b", "a\1", "ab"]
    assert in_order(texts[::-1], "string") == texts
    assert in_order(texts, "string", descending=True) == texts[::-1]


def test_text_orders_by_its_utf8_bytes_beyond_the_first_plane_too():
    texts = ["Z", "a", "\xe9", "\uffff", "\U0001f600"]
    assert in_order(texts[::-1], "string") == texts


def test_a_long_first_text_never_reaches_into_the_second_term():
    keys = order_keys([term(["a", "ab"], "string"), term([2**31 - 1, -(2**31)], "int32")])
    assert keys[0] < keys[1]


@pytest.mark.parametrize("kind", ["float32", "float64"])
def test_nan_is_the_greatest_float_and_zero_has_no_sign(kind):
    low, high = -math.inf, math.inf
    values = [math.nan, high, 1.5, 0.0, -1.5, low]
    assert str(in_order(values, kind)) == str(values[::-1])
    assert str(in_order(values[::-1], kind, descending=True)) == str(values)
    zeros = order_keys([term([0.0, -0.0], kind)])
    assert zeros[0] == zeros[1]
    nans = order_keys([term([math.nan, -math.nan], kind)])
    assert nans[0] == nans[1]


def test_a_signalling_nan_is_a_nan_like_any_other():
    bits = np.array([0x7F800001, 0xFF800001, 0x7FC00000], dtype=np.uint32)
    keys = order_keys([KeyTerm(bits.view(np.float32), np.ones(3, bool), False, True)])
    assert len(set(keys)) == 1


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("nulls_first", [False, True])
@pytest.mark.parametrize("kind", ["int16", "float64", "decimal", "string"])
def test_nulls_go_where_they_are_told(kind, descending, nulls_first):
    some = {"int16": -(2**15), "float64": math.nan, "decimal": 10**38 - 1, "string": ""}[kind]
    values = in_order([some, None], kind, descending=descending, nulls_first=nulls_first)
    assert (values[0] is None) == nulls_first


def test_what_stands_where_a_value_is_null_does_not_matter():
    present = np.array([False, False, True])
    keys = order_keys([KeyTerm(np.array([5, -5, 0]), present, False, True)])
    assert keys[0] == keys[1] < keys[2]


def test_decimals_of_38_digits_keep_their_last_one():
    most = 10**38 - 1
    numbers = [-most, -most + 1, -(2**64), -1, 0, 1, 2**64 - 1, 2**64, most - 1, most]
    assert in_order(numbers[::-1], "decimal") == numbers


def test_a_column_that_is_a_slice_or_read_only_is_left_as_it_is():
    values = np.array([[3, 0], [1, 0], [2, 0]], dtype=np.uint64)
    values.flags.writeable = False
    floats = np.array([2.0, 9.0, -0.0, 9.0, np.nan])[::2]
    floats.flags.writeable = False
    present = np.ones(3, bool)
    order_keys([KeyTerm(values, present, True, True), KeyTerm(floats, present, True, True)])
    assert values[:, 0].tolist() == [3, 1, 2]
    assert np.signbit(floats[1])


def test_an_order_without_terms_is_refused():
    with pytest.raises(ValueError, match=r"at least one term\. Got none"):
        order_keys([])


def test_columns_of_different_length_are_refused():
    with pytest.raises(ValueError, match="argument 2 is"):
        order_keys([term([1, 2], "int64"), term([1], "int64")])
