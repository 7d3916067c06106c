"""Files of vectors are paired with files of metadata by the parts in which names differ."""

from __future__ import annotations

import pytest

from semdedup_spark.sources.formats.file_pairs import pair


def paired(first, second):
    found = pair([f"/v/{name}.npy" for name in first], [f"/m/{name}.parquet" for name in second])
    return found and [path.removeprefix("/m/").removesuffix(".parquet") for path in found]


def test_numbers_are_compared_as_numbers_whatever_zeros_stand_before_them():
    vectors = sorted(f"img_emb_{i}" for i in range(11))
    beside = sorted(f"metadata_{i:02d}" for i in range(11))
    numbers = [int(name.rpartition("_")[2]) for name in vectors]
    assert paired(vectors, beside) == [f"metadata_{number:02d}" for number in numbers]


@pytest.mark.parametrize(
    ("first", "second", "found"),
    [
        (["e_0", "e_1"], ["m_1", "m_0"], ["m_0", "m_1"]),
        (["emb_v2_0", "emb_v2_1"], ["meta_0", "meta_1"], ["meta_0", "meta_1"]),
        (["5_of_10", "6_of_10"], ["m_05", "m_06"], ["m_05", "m_06"]),
        (["train", "val"], ["val_ids", "train_ids"], ["train_ids", "val_ids"]),
        (["a", "b"], ["a 1+%", "b 1+%"], ["a 1+%", "b 1+%"]),
        (["p0/e_0", "p0/e_1", "p1/e_0"], ["p0/m_0", "p0/m_1", "p1/m_0"], ...),
        (["part1", "part2", "part10"], ["1", "2", "10"], ["1", "2", "10"]),
        (["vectors"], ["ids"], ["ids"]),
        (["e_1"], ["m_001"], ["m_001"]),
        (["e_768_0", "e_768_1"], ["m_768_1", "m_768_0"], ["m_768_0", "m_768_1"]),
        (["e_0", "e_more_1"], ["m_0", "m_1"], ["m_0", "m_1"]),
        (["e_0", "e_1"], ["part-00000-7f3a-c000", "part-00001-7f3a-c000"], ...),
        (["train_0", "test_1"], ["ids_test_1", "ids_train_0"], ["ids_train_0", "ids_test_1"]),
    ],
)
def test_what_all_names_of_one_side_share_says_nothing(first, second, found):
    assert paired(first, second) == (second if found is ... else found)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (["emb_2"], ["ids_10"]),
        (["emb_10", "emb_11"], ["ids_20", "ids_21"]),
        (["emb_0", "emb_1"], ["ids_1", "ids_2"]),
        (["emb_0", "emb_1", "emb_2"], ["ids_0", "ids_1"]),
        (["emb_0", "emb_1"], ["ids_0", "ids_1", "ids_2"]),
        (["emb_1", "emb_01"], ["ids_1", "ids_2"]),
        (["a", "b"], ["x", "y"]),
    ],
)
def test_a_name_without_a_partner_is_not_paired_by_order(first, second):
    assert paired(first, second) is None


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (["emb_2_0", "emb_2_1"], ["ids_10_0", "ids_10_1"]),
        (["2024-01-05", "2024-02-05"], ["2024-01-06", "2024-02-06"]),
        (["emb_0_of_4"], ["ids_1_of_4"]),
        (["emb_2_768d"], ["ids_10_768d"]),
        (["train_0", "test_1"], ["test_0", "train_1"]),
        (["emb_train_0", "emb_test_1"], ["ids_test_0", "ids_train_1"]),
        (["train_0", "test_1"], ["val_0", "train_1"]),
    ],
)
def test_names_that_contradict_each_other_are_no_pair(first, second):
    assert paired(first, second) is None
