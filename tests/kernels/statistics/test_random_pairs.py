import numpy as np

from semdedup_spark.kernels.statistics.random_pairs import background_of
from semdedup_spark.kernels.vectors import unit_rows
from semdedup_spark.pipeline.stages.select.select_guards import background_note


def test_copies_count_once_and_the_order_of_rows_does_not():
    X = unit_rows(np.random.default_rng(0).standard_normal((300, 20))).X
    found = background_of(X)
    assert found.n_pairs == 300 * 299 // 2
    assert background_of(np.concatenate([X[::-1], X[:50]])) == found
    products = (X.astype(float) @ X.astype(float).T)[np.triu_indices(300, 1)]
    np.testing.assert_allclose(found.mean, products.mean(), atol=1e-6)
    assert 0.0009 < (products > found.p999).mean() < 0.0011


def test_equal_rows_have_no_background():
    assert background_of(np.ones((5, 4), np.float32) / 2) is None


def test_the_note_warns_exactly_where_the_threshold_lies_inside_the_background():
    metrics = {"background_mean": 0.3, "background_p999": 0.8}
    assert background_note({**metrics, "eps": 0.25}, 1000)[1]
    assert not background_note({**metrics, "eps": 0.15}, 1000)[1]
    assert background_note({"eps": 0.25}, 1000) == ("", False)


def test_below_a_thousand_rows_nothing_is_said_of_one_pair_in_a_thousand():
    metrics = {"background_mean": 0.3, "background_p999": 0.8, "eps": 0.25}
    assert background_note(metrics, 999) == ("", False)  # copies are many of the pairs
    assert "1 in 1,000 has more than 0.800" in background_note(metrics, 1000)[0]


def test_where_one_pair_in_a_thousand_is_a_copy_no_pair_has_more_than_that():
    metrics = {"background_mean": 0.3, "background_p999": 0.99951, "eps": 0.01}
    note, inside = background_note(metrics, 5000)
    assert "1.000" not in note
    assert note.endswith("1 in 1,000 is a copy or nearly one")
    assert not inside  # the copies are what the threshold is for
    assert background_note({**metrics, "background_mean": 0.995}, 5000)[1]
