"""Error messages that say what each key must be, derived from its type.

The same key gets the same words, whatever value was got.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from semdedup_spark.errors import did_you_mean
from semdedup_spark.masking import MASK, masked, masked_tree

_PLAIN = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    NoneType: "null",
}
_TYPES = {**_PLAIN, list: "a list", tuple: "a list", dict: "keys with values"}
_BOUNDS = {"gt": "greater than", "ge": "at least", "lt": "less than", "le": "at most"}
_MOST_FIELDS = 3
_LONGEST = 200


@dataclass(frozen=True)
class _Place:
    """A key of the configuration.

    Attributes
    ----------
    path
        Names from the top level to the key.
    kind
        Type of its value.
    bounds
        Limits of its value, as pydantic stores them.
    whole
        Whether the whole location that pydantic reported was followed.
    """

    path: tuple[str, ...]
    kind: Any
    bounds: tuple[Any, ...]
    whole: bool

    @property
    def name(self) -> str:
        return ".".join(self.path) or "the configuration"


def explain_problems(error: ValidationError, model: type[BaseModel]) -> tuple[list[str], list[str]]:
    """One line for each wrong key of a configuration, and hints.

    Parameters
    ----------
    error
        What pydantic found; of a union it reports each member that did not fit.
    model
        The model that was validated.

    Returns
    -------
    tuple of (list of str, list of str)
        Messages, and the hints that there are.
    """
    messages: dict[str, str] = {}
    for problem in error.errors():
        place = _place(model, problem["loc"])
        message, hint = _explain(problem, place)
        messages.setdefault(message, hint)
    return list(messages), [hint for hint in dict.fromkeys(messages.values()) if hint]


def _explain(problem: Any, place: _Place) -> tuple[str, str]:
    loc, kind = problem["loc"], problem["type"]
    if kind == "extra_forbidden" and len(place.path) == len(loc) - 1:
        known = list(_fields(place.kind))
        name = ".".join((*place.path, str(loc[-1])))
        listed = ", ".join(known)
        return (
            f"{name} is not a known key. Known keys here: {listed}.",
            did_you_mean(str(loc[-1]), known),
        )
    if kind == "missing" and place.whole:
        return f"{place.name} must be set.", "`semdedup config` prints every key with its meaning."
    if kind == "invalid_key" or loc[-1:] == ("[key]",):
        path = place.path[: len(loc) - 2] if kind != "invalid_key" else place.path
        return _explain_key(problem["input"], ".".join(path) or "the configuration")
    if kind == "value_error":
        return f"{place.name}: {problem['msg'].removeprefix('Value error, ')}.", ""
    got = problem["input"] if place.whole else _given(problem, place)
    return f"{place.name} must be {_words(place.kind, place.bounds)}. Got {_quoted(got, place)}.", (
        did_you_mean(got, _literals(place.kind)) if isinstance(got, str) else ""
    )


def _explain_key(key: Any, place: str) -> tuple[str, str]:
    """A key that YAML reads as a number, a date or a truth value."""
    kind = _TYPES.get(type(key), type(key).__name__)
    if isinstance(key, bool):
        hint = 'YAML reads yes, no, on and off as true or false; in quotes they are text: "on".'
    else:
        hint = f'in quotes it is text: "{key}".'
    return f"each key of {place} must be text. Got the key {key}, {kind}.", hint


def _given(problem: Any, place: _Place) -> Any:
    """The value of the key, where pydantic reports a problem deeper inside a union."""
    inner, value = problem["loc"][len(place.path) :], problem["input"]
    names = [step for step in inner[1:] if not isinstance(step, int)]
    return {names[-1]: value} if names and problem["type"] != "missing" else value


def _quoted(value: Any, place: _Place) -> str:
    if "options" in place.path or _holds_options(value):  # an option may hold a secret
        return f"{MASK}, {_TYPES.get(type(value), type(value).__name__)}"
    text = masked(repr(masked_tree(value)))
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} ..."


def _holds_options(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(str(k).lower() == "options" or _holds_options(v) for k, v in value.items())
    return isinstance(value, list | tuple) and any(map(_holds_options, value))


def _place(model: type[BaseModel], loc: Sequence[Any]) -> _Place:
    """Follow pydantic's ``loc`` until it names a member of a union."""
    kind: Any = model
    bounds: tuple[Any, ...] = ()
    path: list[str] = []
    for step in loc:
        inner = _bare(kind)
        fields = _fields(inner)
        if step in fields:
            kind, bounds = fields[step].annotation, tuple(fields[step].metadata)
        elif get_origin(inner) in (list, dict) and step != "[key]":
            kind, bounds = get_args(inner)[-1], ()
        else:
            break
        path.append(str(step))
    return _Place(tuple(path), kind, bounds, len(path) == len(loc))


def _fields(kind: Any) -> Mapping[str, Any]:
    kind = _bare(kind)
    is_model = isinstance(kind, type) and issubclass(kind, BaseModel)
    return kind.model_fields if is_model else {}


def _bare(kind: Any) -> Any:
    """The type without its bounds and without ``None``."""
    while get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    if get_origin(kind) in (Union, UnionType):
        members = [member for member in get_args(kind) if member is not NoneType]
        return _bare(members[0]) if len(members) == 1 else kind
    return kind


def _literals(kind: Any) -> list[str]:
    if get_origin(kind) is Literal:
        return [value for value in get_args(kind) if isinstance(value, str)]
    return [value for member in get_args(kind) for value in _literals(member)]


def _words(kind: Any, bounds: Sequence[Any] = ()) -> str:
    """``a whole number that is at least 1, or 'auto'``."""
    *others, last = _alternatives(kind, tuple(bounds))
    between = ", or " if any(" " in word for word in others) else " or "
    return f"{', '.join(others)}{between}{last}" if others else last


def _alternatives(kind: Any, bounds: tuple[Any, ...]) -> list[str]:
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _alternatives(arguments[0], (*arguments[1:], *bounds))
    if origin in (Union, UnionType):
        return [word for member in arguments for word in _alternatives(member, bounds)]
    if origin is Literal:
        return [repr(value) for value in arguments]
    return [_one(kind, bounds)]


def _one(kind: Any, bounds: tuple[Any, ...]) -> str:
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is list:
        return f"a list, each of it {_words(arguments[0])}"
    if origin is dict:
        return f"names with values, each of these {_words(arguments[1])}"
    if fields := _fields(kind):
        return _of_model(kind, fields)
    given = [inner for each in bounds for inner in getattr(each, "metadata", [each])]
    has = ((getattr(b, n), word) for b in given for n, word in _BOUNDS.items() if hasattr(b, n))
    said = [f"{word} {_number(limit)}" for limit, word in has]
    plain = _PLAIN.get(kind, "of another type")
    return f"{plain} {' and '.join(said)}" if said and kind in (int, float) else plain


def _number(limit: float) -> str:
    return f"{int(limit):,}" if limit == int(limit) else f"{limit:g}"


def _of_model(kind: Any, fields: Mapping[str, Any]) -> str:
    if kind.wording:
        return str(kind.wording)
    if len(fields) > _MOST_FIELDS:
        return f"keys with values, of {', '.join(fields)}"
    each = (f"{name}: {_words(f.annotation, f.metadata)}" for name, f in fields.items())
    return "{" + ", ".join(each) + "}"
