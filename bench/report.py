"""The tables, and the page that ``--write`` makes of them."""

from collections.abc import Sequence

from .measurements import AT_ONCE, Cpus
from .peers import REFERENCE, Peer
from .results import Results, Spread, machine
from .rows import Row

_NOTHING = ""  # of what a server does not do

_PAGE = """\
# What it costs

{when}, commit {commit}, by `make bench ARGS=--write`, which made this page and the picture.
{machine}.

![Costs as ratios to nginx](performance.svg)

## How it was measured

{how}

{remarks}

## Ratios

{ratios}

## Figures

{figures}
"""


def number(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def _spread(value: Spread | None, show: str = "") -> str:
    if value is None:
        return _NOTHING
    return f"{number(value.median)}{show} ({number(value.lowest)} to {number(value.highest)})"


def _ratio(value: Spread | None) -> str:
    return _NOTHING if value is None else f"{value.median:.2f} ({value.lowest:.2f} to {value.highest:.2f})"


def _table(heads: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    rows = [list(heads), ["---", *("---:" for _ in heads[1:])], *map(list, lines)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in rows)


def figures_table(results: Results) -> str:
    """Medians, smallest and largest."""
    heads = ["", *(f"{peer.name} {peer.version}" for peer in results.peers)]
    lines = [
        [row.title, *(_spread(results.figure(row, peer), f" {row.unit}") for peer in results.peers)]
        for row in results.rows
    ]
    return _table(heads, lines)


def ratios_table(results: Results) -> str:
    """Medians of the ratios to the reference, round by round, with the aims of gatepost's budget."""
    if not results.others:
        return f"There is no {REFERENCE} with its mail module here to compare with."
    heads = ["", *(f"{peer.name} / {REFERENCE}" for peer in results.others), "aim"]
    lines = [
        [row.title, *(_ratio(results.ratio(row, peer)) for peer in results.others), aim(row, results)]
        for row in results.rows
        if any(results.ratio(row, peer) for peer in results.others)
    ]
    return _table(heads, lines)


def aim(row: Row, results: Results) -> str:
    """The aim, and whether the first server, which is gatepost as it is best installed, meets it."""
    if row.aim is None:
        return ""
    ratio = results.ratio(row, results.others[0])
    verdict = "" if ratio is None else ", met" if ratio.median <= row.aim else ", missed"
    return f"≤ {row.aim:.2f}{verdict}"


def how(results: Results, cpus: Cpus) -> str:
    pinned = (
        "The server has a CPU of its own (but for two workers), load and backends have the others."
        if cpus.server != cpus.load
        else "Server, load and backends share all CPUs."
    )
    return f"""\
Rounds: {results.rounds}; some rows and servers have no more than three. In each, every server takes its turn row by
row, and the order turns. Figures are medians (smallest to largest); ratios are medians of each round's own.
CPU is what the kernel charged to all processes of the server, user and system, those that have ended included; load
and backends run in processes of their own and are not in it.
{pinned}
Logins are whole sessions, from connect to logout, {AT_ONCE} clients at once, one worker, TLS 1.3 with full
handshakes unless resumed. Memory is PSS of all processes; that of the kernel's sockets is not in it."""


def remarks(peers: Sequence[Peer]) -> str:
    return "\n".join(f"* {peer.name}: {peer.remark}" for peer in peers if peer.remark)


def page(results: Results, cpus: Cpus, when: str, commit: str) -> str:
    return _PAGE.format(
        when=when,
        commit=commit,
        machine=machine(cpus),
        how=how(results, cpus),
        remarks=remarks(results.peers),
        ratios=ratios_table(results),
        figures=figures_table(results),
    )
