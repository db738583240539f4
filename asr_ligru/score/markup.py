"""Elements of HTML and SVG whose content is always escaped: the only place that writes a tag."""

from __future__ import annotations

import html

from asr_ligru.safety import printable
from asr_ligru.score.tables import Table

_VOID = {"meta"}


class Markup(str):
    """Text that is markup already and is not escaped again."""

    __slots__ = ()


def element(name: str, /, *children: str, **attributes: str | int | float) -> Markup:
    """Return one element.

    Args:
        name: of the tag, a constant of the calling code.
        children: texts, which are escaped, or Markup, which is not.
        attributes: their names are constants of the calling code ("class_" is "class", "stroke_width" is
            "stroke-width"); values are escaped, fractions rounded to a tenth; an empty one leaves its attribute out.
    """
    written = "".join(f' {_name(key)}="{_value(value)}"' for key, value in attributes.items() if value != "")
    if name in _VOID:
        return Markup(f"<{name}{written}>")
    return Markup(f"<{name}{written}>{join(*children)}</{name}>")


def join(*children: str) -> Markup:
    """Return the children one after the other, texts escaped."""
    return Markup("".join(child if isinstance(child, Markup) else escape(child) for child in children))


def escape(text: str) -> Markup:
    """Return ``text`` as HTML shows it literally, control and direction characters as visible escapes."""
    return Markup(html.escape(printable(text), quote=True))


def html_table(table: Table) -> Markup:
    """Return a table that scrolls sideways where the page is narrow."""
    kind = ["num" if title in table.numeric else "" for title in table.columns]
    head = element("tr", *(element("th", title, class_=c) for title, c in zip(table.columns, kind, strict=True)))
    rows = [
        element(
            "tr",
            *(element("td", cell, class_=c) for cell, c in zip(row, kind, strict=True)),
            class_="best" if index == table.best else "",
        )
        for index, row in enumerate(table.rows)
    ]
    return element("div", element("table", element("thead", head), element("tbody", *rows)), class_="scroll")


def _name(key: str) -> str:
    return key.rstrip("_").replace("_", "-") if key != "viewBox" else key


def _value(value: str | int | float) -> str:
    return escape(value) if isinstance(value, str) else f"{value:.1f}".removesuffix(".0")
