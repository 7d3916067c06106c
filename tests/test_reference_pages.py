"""The generated files of docs/ say what the code and the other pages say."""

import pytest

from scripts.reference_pages import DOCS, WRITERS


@pytest.mark.parametrize("name", WRITERS)
def test_a_generated_file_is_what_the_code_says(name):
    written = (DOCS / name).read_text(encoding="utf-8")
    assert written == WRITERS[name](), "the code has changed: run `make reference`"
