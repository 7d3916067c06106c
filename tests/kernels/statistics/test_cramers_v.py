import pytest

from semdedup_spark.kernels.statistics.cramers_v import cramers_v


def test_cramers_v_by_hand():
    assert cramers_v([0, 0, 1, 1], [5, 5, 9, 9]) == pytest.approx(1)
    assert cramers_v([0, 0, 1, 1], [5, 9, 5, 9]) == 0
    # table [[3, 1], [1, 3]]: chi2 = 8 * (3 * 3 - 1 * 1)^2 / 4^4 = 2, V = sqrt(2 / 8)
    assert cramers_v([0] * 4 + [1] * 4, [0, 0, 0, 1, 0, 1, 1, 1]) == pytest.approx(0.5)
    assert cramers_v([0, 0, 1, 1], [0, 1, 0, 1], [3, 1, 1, 3]) == pytest.approx(0.5)  # that table
    assert cramers_v([0, 1, 2], [4, 4, 4]) == 0
