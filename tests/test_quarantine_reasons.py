"""Every reason code that a row may get in ``quarantine`` is explained in the reference."""

import ast
import re
from pathlib import Path

import pytest

from semdedup_spark.schema.reasons import REASONS

PACKAGE = Path(__file__).parents[1] / "semdedup_spark"
# The rooms that reject rows.
ROOMS = (
    "encoders",
    "sources",
    "kernels",
    "in_memory",
    "transforms/embed",
    "pipeline/stages/embed",
)
CODE = re.compile(r"[a-z0-9]+(_[a-z0-9]+)+")
# Calls that reject a row, and the place of the code among their arguments.
PLACES = {"RejectedPayload": 0, "reject": 0, "when": 1}


def texts(node, named):
    """The texts that an expression may be, names looked up in their module. Not those of calls."""
    match node:
        case ast.Constant(value=str(text)):
            yield text
        case ast.Name(id=name):
            for value in named.get(name, ()):
                yield from texts(value, {})
        case ast.IfExp():
            yield from texts(node.body, named)
            yield from texts(node.orelse, named)
        case ast.Subscript():
            yield from texts(node.value, named)
        case ast.Dict():
            for value in node.values:
                yield from texts(value, named)


def code_places(tree):
    """The expressions of a module that stand where a reason code does."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(attr=name) | ast.Name(id=name)) if name in PLACES:
                yield from node.args[PLACES[name] : PLACES[name] + 1]
            case ast.Assign(targets=[ast.Subscript(value=ast.Name(id="reasons"))]):
                yield node.value
            case ast.Tuple(elts=[ast.Attribute(attr="REASON"), *others]):
                yield from others
            case ast.FunctionDef(name=name) if name.endswith("_reason"):
                yield from (n.value for n in ast.walk(node) if isinstance(n, ast.Return))


def codes(source):
    """The reason codes that a module gives."""
    tree, named = ast.parse(source), {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            named.setdefault(node.targets[0].id, []).append(node.value)
    found = (text for place in code_places(tree) for text in texts(place, named))
    return {text for text in found if CODE.fullmatch(text)}


def test_the_reference_has_every_reason_that_the_package_gives_and_no_other():
    files = [file for room in ROOMS for file in (PACKAGE / room).rglob("*.py")]
    assert set().union(*(codes(file.read_text(encoding="utf-8")) for file in files)) == set(REASONS)


@pytest.mark.parametrize(
    "source",
    [
        "raise RejectedPayload('a_new_code', 'words')",
        "sample.reject('a_new_code', 'words')",
        "F.when(text.isNull(), 'other_code').when(x, 'a_new_code')",
        "CODE = 'a_new_code'\nF.when(text.isNull(), CODE)",
        "why = 'a_new_code' if cut else 'other_code'\nRejectedPayload(why, 'words')",
        "OF = {'image': 'a_new_code'}\nRejectedPayload(OF[part], 'words')",
        "reasons[row] = 'a_new_code'",
        "words = [(s.REASON, 'other_code', 'a_new_code')]",
        "def _reason(x):\n    return 'a_new_code' if x else None",
    ],
)
def test_a_new_code_would_be_seen(source):
    assert "a_new_code" in codes(source)


def test_a_reason_says_what_is_wrong_and_what_to_do():
    for told in REASONS.values():
        assert len(told.when.split()) > 2
        assert told.remedy
