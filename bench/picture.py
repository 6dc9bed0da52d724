"""The ratios as a picture: one group of bars per row, a line where the reference is, a mark at each aim."""

from html import escape

from .peers import REFERENCE
from .results import Results
from .rows import Row

_COLOURS = ("#1f6f54", "#7fbf9f", "#8a8a8a", "#c9a15a", "#7a8fc0")
_TEXT, _GRID, _AIM = "#222222", "#d8d8d8", "#c0392b"
_LABELS = 340  # pixels for the rows' names
_SCALE = 220  # pixels per 1.0
_END = 2.5  # what is longer is cut, and says so
_BAR, _GAP, _GROUP_GAP = 13, 2, 12
_TOP = 64


def draw(results: Results, caption: str) -> str:
    """SVG. Readable on any ground: it brings its own."""
    rows = [row for row in results.rows if any(results.ratio(row, peer) for peer in results.others)]
    parts: list[str] = []
    y = _TOP
    for row in rows:
        group, height = _group(results, row, y)
        parts.append(group)
        y += height + _GROUP_GAP
    width = _LABELS + int(_END * _SCALE) + 90
    height = y + 26
    lines = "".join(_upright(value, _TOP - 8, y) for value in (0.0, 0.5, 1.0, 1.5, 2.0, 2.5))
    frame = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'font-family="sans-serif" font-size="12">\n'
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>\n'
    )
    foot = _text(_LABELS, y + 16, caption, "#666666", size=11)
    return frame + _legend(results) + lines + "".join(parts) + foot + "</svg>\n"


def _text(x: float, y: float, text: str, colour: str = _TEXT, anchor: str = "start", size: int = 12) -> str:
    # White round the letters: a line may run behind them.
    halo = 'stroke="#ffffff" stroke-width="3" paint-order="stroke"'
    how = f'fill="{colour}" text-anchor="{anchor}" font-size="{size}" {halo}'
    return f'<text x="{x:g}" y="{y:g}" {how}>{escape(text)}</text>\n'


def _rect(x: float, y: float, width: float, height: float, colour: str) -> str:
    return f'<rect x="{x:g}" y="{y:g}" width="{width:.1f}" height="{height:g}" fill="{colour}"/>\n'


def _line(x: float, top: int, bottom: int, colour: str, width: int = 1) -> str:
    return f'<line x1="{x:g}" y1="{top}" x2="{x:g}" y2="{bottom}" stroke="{colour}" stroke-width="{width}"/>\n'


def _upright(value: float, top: int, bottom: int) -> str:
    x = _LABELS + value * _SCALE
    name = f"{REFERENCE} = 1" if value == 1.0 else f"{value:g}"
    line = _line(x, top, bottom, _TEXT if value == 1.0 else _GRID)
    return line + _text(x, top - 4, name, anchor="middle", size=11)


def _legend(results: Results) -> str:
    parts: list[str] = []
    x = 12.0
    for peer, colour in zip(results.others, _COLOURS, strict=False):
        parts.append(_rect(x, 12, 12, 12, colour) + _text(x + 17, 22, peer.name))
        x += 17 + 8 * len(peer.name) + 18
    parts.append(_line(x + 4, 10, 26, _AIM, 3))
    parts.append(_text(x + 13, 22, "gatepost's aim") + _text(x + 120, 22, "(less is better)", "#666666"))
    return "".join(parts)


def _group(results: Results, row: Row, top: int) -> tuple[str, int]:
    """The bars of one row, and their height."""
    bars: list[str] = []
    labels: list[str] = []
    y = top
    for peer, colour in zip(results.others, _COLOURS, strict=False):
        ratio = results.ratio(row, peer)
        if ratio is not None:
            length = min(ratio.median, _END) * _SCALE
            cut = " →" if ratio.median > _END else ""
            bars.append(_rect(_LABELS, y, max(length, 1), _BAR, colour))
            labels.append(_text(_LABELS + length + 5, y + 10.5, f"{ratio.median:.2f}{cut}", size=11))
            y += _BAR + _GAP
    height = y - top - _GAP
    bars.append(_text(_LABELS - 10, top + height / 2 + 4, row.title, anchor="end"))
    if row.aim is not None:
        bars.append(_line(_LABELS + row.aim * _SCALE, top - 3, top + height + 3, _AIM, 3))
    return "".join(bars + labels), height
