"""Intervals by hand, by their promises, and against a reviewer whose true share is known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from semdedup_spark.kernels.statistics.allocation import allocate
from semdedup_spark.kernels.statistics.intervals import stratified_share, wilson

# Of 1,000 audits with a true coverage of 95 %, fewer than 935 cover with a probability of 1.5 %.
REPEATS = 1000
LEAST_COVERED = 935


@st.composite
def judgements(draw):
    strata = []
    for size in draw(st.lists(st.integers(0, 3000), min_size=1, max_size=12)):
        judged = draw(st.integers(0, size))
        strata.append((size, judged, draw(st.integers(0, judged))))
    return tuple(np.array(column) for column in zip(*strata, strict=True))


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [
        (81, 263, 0.2535, 0.3682),  # Newcombe 1998, table I, method 4
        (15, 148, 0.0598, 0.1644),
        (0, 20, 0, 0.2005),
        (1, 29, 0.0018, 0.1963),
        (8, 10, 0.4422, 0.9646),  # R: prop.test(8, 10)
    ],
)
def test_wilson_is_what_others_print(successes, n, low, high):
    assert wilson(successes, n) == pytest.approx((low, high), abs=5e-5)
    mirrored = wilson(n - successes, n)
    assert mirrored == pytest.approx((1 - high, 1 - low), abs=5e-5)


@given(st.floats(0.1, 1e6), st.floats(0, 1), st.floats(0.01, 0.999))
def test_wilson_contains_the_proportion_and_stays_between_0_and_1(n, p, confidence):
    low, high = wilson(p * n, n, confidence)
    assert 0 <= low <= p * n / n + 1e-12
    assert p * n / n - 1e-12 <= high <= 1


@given(judgements(), st.floats(0.5, 0.999))
def test_the_interval_contains_the_estimate_and_only_what_is_possible(judged, confidence):
    sizes, n, x = judged
    found = stratified_share(sizes, n, x, confidence)
    if not n.any():
        assert found is None
        return
    assert 0 <= found.low <= found.value <= found.high <= 1
    assert found.low >= x.sum() / sizes.sum()
    assert found.high <= 1 - (n - x).sum() / sizes.sum() + 1e-12


@given(judgements())
def test_wrong_rows_have_the_mirrored_interval(judged):
    sizes, n, x = judged
    found, mirrored = stratified_share(sizes, n, x), stratified_share(sizes, n, n - x)
    if found is not None:
        one_row = 1.01 / sizes.sum()  # ends are whole rows, of numbers that may be rounded
        assert mirrored.value == pytest.approx(1 - found.value, abs=1e-12)
        assert mirrored.low == pytest.approx(1 - found.high, abs=one_row)
        assert mirrored.high == pytest.approx(1 - found.low, abs=one_row)


@given(judgements())
def test_where_all_rows_were_judged_the_share_is_known(judged):
    sizes, _, x = judged
    if sizes.any():
        x = np.minimum(x, sizes)
        assert stratified_share(sizes, sizes, x) == (x.sum() / sizes.sum(),) * 3


def test_one_stratum_has_the_interval_of_its_effective_size_in_whole_rows():
    sizes, n, x = 1001, 101, 93
    low, high = wilson(x / n * n * 1000 / 900, n * 1000 / 900)
    found = stratified_share([sizes], [n], [x])
    assert found.value == pytest.approx(x / n)
    assert found.low == np.floor(low * sizes) / sizes
    assert found.high == np.ceil(high * sizes) / sizes


def test_the_estimate_weighs_strata_by_their_size():
    # 0.75 * 0.5 + 0.25 * 1
    assert stratified_share([3000, 1000], [20, 20], [10, 20]).value == 0.625


def test_strata_whose_judged_rows_are_all_right_still_leave_doubt():
    found = stratified_share([5000, 5000], [25, 25], [25, 25])
    assert found.value == found.high == 1
    assert found.low == pytest.approx(wilson(50, 50)[0], abs=0.002)
    one_wrong = stratified_share([1000, 9000], [50, 20], [49, 20])
    assert one_wrong.low < 0.9  # the large stratum, of which little is known


def test_a_stratum_without_judged_rows_counts_as_wrong_at_one_end_and_right_at_the_other():
    alone = stratified_share([600], [60], [54])
    found = stratified_share([600, 300], [60, 0], [54, 0])
    assert found.value == alone.value
    assert found.low == pytest.approx(alone.low * 600 / 900)
    assert found.high == pytest.approx((alone.high * 600 + 300) / 900)


def test_without_judged_rows_there_is_no_estimate():
    assert stratified_share([5, 7], [0, 0], [0, 0]) is None
    assert stratified_share([], [], []) is None


def test_a_confidence_of_nothing_or_all_is_refused():
    for confidence in (0, 1, 1.5):
        with pytest.raises(ValueError, match="between 0 and 1"):
            stratified_share([5], [5], [5], confidence)


def test_a_higher_confidence_has_a_wider_interval():
    widths = [
        found.high - found.low
        for found in (
            stratified_share([900, 800], [50, 40], [45, 40], c) for c in (0.8, 0.95, 0.99)
        )
    ]
    assert widths == sorted(set(widths))


@pytest.mark.parametrize(
    ("n_strata", "n_rows", "lowest", "highest", "n"),
    [
        (1, 1_000_000, 0.999, 0.999, 100),
        (1, 2_000, 0.9, 0.9, 300),
        (2, 20_000, 0.5, 0.999, 100),
        (4, 1_500, 0.95, 0.999, 500),
        (6, 1_500, 0.999, 0.999, 200),
        (8, 1_000_000, 0.6, 0.9, 300),
        (12, 20_000, 0.8, 0.999, 200),
        (12, 1_000_000, 0.99, 0.999, 500),
    ],
)
@pytest.mark.parametrize("said", [1.0, 0.9])
def test_the_interval_covers_the_true_share(n_strata, n_rows, lowest, highest, n, said):
    rng = np.random.default_rng([n_strata, n])
    portions = rng.lognormal(0, 1, n_strata)
    sizes = np.maximum(n_rows * portions / portions.sum(), 1).astype(int)
    # errors become rarer from stratum to stratum by the same factor
    errors = (1 - lowest) * ((1 - highest) / (1 - lowest)) ** np.linspace(0, 1, n_strata)
    right = np.round(sizes * (1 - errors)).astype(int)
    truth = right.sum() / sizes.sum()
    drawn = allocate(sizes, np.linspace(0.7, 0.98, n_strata), n)
    # of some rows the reviewer cannot say whether they are right
    judged = rng.binomial(drawn, said, size=(REPEATS, n_strata))
    found_right = rng.hypergeometric(right, sizes - right, judged)
    pairs = zip(judged, found_right, strict=True)
    found = np.array([stratified_share(sizes, some, x) for some, x in pairs])
    assert ((found[:, 1] <= truth) & (truth <= found[:, 2])).sum() >= LEAST_COVERED
    assert found[:, 0].mean() == pytest.approx(truth, abs=0.01)
    if n == 500:
        assert (found[:, 2] - found[:, 1]).mean() / 2 < 0.04


def test_a_reviewer_who_judges_few_rows_is_told_how_little_that_says():
    rng = np.random.default_rng(1)
    sizes, right = np.array([400, 2000, 9000]), np.array([240, 1800, 8910])
    drawn = allocate(sizes, [0.6, 0.8, 0.95], 25)
    x = rng.hypergeometric(right, sizes - right, drawn, size=(REPEATS, 3))
    found = np.array([stratified_share(sizes, drawn, one) for one in x])
    truth = right.sum() / sizes.sum()
    assert ((found[:, 1] <= truth) & (truth <= found[:, 2])).sum() >= LEAST_COVERED


@pytest.mark.parametrize(
    ("sizes", "judged", "right", "message"),
    [
        ([5], [6], [1], "no more"),
        ([5], [3], [4], "no more"),
        ([5], [3], [-1], "no more"),
        ([5, 6], [3], [1], "shapes"),
    ],
)
def test_what_cannot_have_been_judged_is_refused(sizes, judged, right, message):
    with pytest.raises(ValueError, match=message):
        stratified_share(sizes, judged, right)


@pytest.mark.parametrize(
    ("successes", "n", "confidence"),
    [(1, 0, 0.95), (3, 2, 0.95), (-1, 2, 0.95), (1, 2, 1.0), (1, 2, 0), (float("nan"), 2, 0.95)],
)
def test_no_proportion_has_no_interval(successes, n, confidence):
    with pytest.raises(ValueError, match="must be"):
        wilson(successes, n, confidence)
