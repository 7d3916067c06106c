"""Any sequence of commands, settings, kills and changes of the source leaves the right tables."""

from __future__ import annotations

import pytest

from tests.jobs.sequences import play

# Each plays some forty seconds: one with a copy of the source, one without; the others are long.
_SEEDS = [1, 3, *(pytest.param(n, marks=pytest.mark.long) for n in (0, 2, *range(4, 12)))]


@pytest.mark.parametrize("seed", _SEEDS)
def test_any_sequence_of_commands_leaves_the_tables_of_a_clean_run(spark, tmp_path, seed):
    play(spark, tmp_path, seed)
