"""Rows behind the fields of a settings class."""

import dataclasses
from dataclasses import dataclass

from gatepost.config.directive import MAIL, NGINX, OURS, SERVER, Repeat, Scene, directive, rows
from gatepost.config.kinds import NUMBER, STRING


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    limit: int = directive(NUMBER, MAIL | SERVER, default="3", doc="How many.")
    kind: str | None = directive(
        STRING, SERVER, default=None, doc="", repeat=Repeat.ADDS, name="type", origin=OURS, required=True
    )
    derived: int = 0


def test_rows_are_in_the_order_of_the_fields() -> None:
    table = rows(Example)
    assert list(table) == ["limit", "kind"]
    assert table["limit"].name == "limit"
    assert (table["limit"].kind, table["limit"].contexts, table["limit"].default) == (NUMBER, MAIL | SERVER, "3")
    assert table["limit"].repeat is Repeat.REFUSED
    assert table["limit"].origin is NGINX
    assert not table["limit"].required


def test_a_row_may_be_called_otherwise_than_its_field() -> None:
    row = rows(Example)["kind"]
    assert row.name == "type"
    assert row.repeat is Repeat.ADDS
    assert row.origin is OURS
    assert row.required


def test_a_directive_leaves_the_field_without_default() -> None:
    field = dataclasses.fields(Example)[0]
    assert field.default is dataclasses.MISSING


def test_a_claim_holds_once() -> None:
    scene = Scene("a", None, "/", "/", print)
    assert scene.claim(1)
    assert not scene.claim(1)
    assert scene.claim(2)
    assert not dataclasses.replace(scene, name="b").claim(2)
