"""Draws messages that follow the contract to the letter, and are as extreme as it lets them be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec
from hypothesis import strategies as st
from msgspec import inspect

Message = TypeVar("Message", bound=msgspec.Struct)

_LARGEST_FLOAT = 1.7976931348623157e308
#: Texts that a column, an index or a terminal may take ill, and lengths at which indexes end.
_TEXTS = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40),
    st.builds(
        lambda one, times: one * times,
        st.sampled_from(["a", "é", "\U0001f4a5", "%", "'", '"', "\\", "\x1b", "\u202e", "\n"]),
        st.sampled_from([63, 64, 65, 700, 2_705, 8_192, 20_000]),
    ),
)


def messages(kind: type[Message], **given: st.SearchStrategy[Any]) -> st.SearchStrategy[Message]:
    """Messages of one type; the fields that are `given` are drawn from there."""
    drawn = _struct(inspect.type_info(kind), **given)
    return drawn.map(lambda value: msgspec.convert(value, kind))


def _of(kind: Any) -> st.SearchStrategy[Any]:  # noqa: ANN401 - msgspec's descriptions of types
    return _DRAWN[type(kind)](kind)


def _struct(kind: Any, **given: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:  # noqa: ANN401 - as above
    tag = {} if kind.tag_field is None else {kind.tag_field: st.just(kind.tag)}
    fields = {
        one.encode_name: given[one.name] if one.name in given else _of(one.type)
        for one in kind.fields
    }
    return st.fixed_dictionaries(tag | fields)


def _text(kind: inspect.StrType) -> st.SearchStrategy[str]:
    return _TEXTS if kind.pattern is None else st.from_regex(kind.pattern, fullmatch=True)


def _whole_number(kind: inspect.IntType) -> st.SearchStrategy[int]:
    low = -(2**63) if kind.ge is None else kind.ge
    high = 2**63 - 1 if kind.le is None else kind.le
    return st.one_of(st.sampled_from([low, high]), st.integers(low, high))


def _number(kind: inspect.FloatType) -> st.SearchStrategy[float]:
    low = -_LARGEST_FLOAT if kind.ge is None else float(kind.ge)
    high = _LARGEST_FLOAT if kind.le is None else float(kind.le)
    return st.one_of(st.sampled_from([low, high, 0.0]), st.floats(low, high, allow_nan=False))


_DRAWN: dict[type, Callable[[Any], st.SearchStrategy[Any]]] = {
    inspect.StructType: _struct,
    inspect.UnionType: lambda kind: st.one_of([_of(one) for one in kind.types]),
    inspect.ListType: lambda kind: st.lists(_of(kind.item_type), max_size=3),
    inspect.StrType: _text,
    inspect.IntType: _whole_number,
    inspect.FloatType: _number,
    inspect.EnumType: lambda kind: st.sampled_from([one.value for one in kind.cls]),
    inspect.BoolType: lambda _: st.booleans(),
    inspect.NoneType: lambda _: st.none(),
}
