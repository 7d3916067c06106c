"""Any sequence of commands, settings, kills and changes of the source leaves the right tables."""

from __future__ import annotations

import pytest

from tests.jobs.sequences import play


@pytest.mark.parametrize("seed", range(12))
def test_any_sequence_of_commands_leaves_the_tables_of_a_clean_run(spark, tmp_path, seed):
    play(spark, tmp_path, seed)
