"""The one shape of every benchmark's figures: a JSON object a line, or a table for people."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Figures:
    """What one case measured.

    Attributes:
        case: its name.
        unit: of all its figures.
        ours: our figure.
        bare: the bare loop's, or whatever limit the case's notes name; ``None`` where there is none.
        peers: each peer's; ``None`` for one that could not be run.
        lower_is_better: or higher.
        target: for ``"bare"`` or a peer, what ours divided by theirs must be at least (or, where lower is better, at
            most).
        durability: how durable a commit is.
        limit: what ours must not exceed (or, where higher is better, not fall short of) by itself.
        notes: how the figures came about, by whose they are.
        extra: what belongs beside the figures; keys of the JSON object's own.
    """

    case: str
    unit: str
    ours: float
    bare: float | None
    peers: Mapping[str, float | None]
    lower_is_better: bool
    target: Mapping[str, float]
    durability: str
    limit: float | None = None
    notes: Mapping[str, str] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def ratios(self) -> dict[str, float | None]:
        """Ours divided by each reference's; ``None`` where that one is missing or zero."""
        references = {"bare": self.bare, **self.peers}
        return {name: self.ours / figure if figure else None for name, figure in references.items()}

    @property
    def met(self) -> bool | None:
        """Whether all targets are met; ``None`` when none is missed, but not all (or none at all) were measured."""
        verdicts = [self._meets(name) for name in self.target]
        if self.limit is not None:
            verdicts.append(self._within(self.ours, self.limit))
        if False in verdicts:
            return False
        return None if None in verdicts or not verdicts else True

    def _meets(self, name: str) -> bool | None:
        ratio = self.ratios.get(name)
        return None if ratio is None else self._within(ratio, self.target[name])

    def _within(self, figure: float, bound: float) -> bool:
        return figure <= bound if self.lower_is_better else figure >= bound

    def line(self) -> str:
        """The case as one JSON object."""
        return json.dumps(
            {
                "case": self.case,
                "unit": self.unit,
                "ours": _rounded(self.ours),
                "bare": _rounded(self.bare),
                "peers": {name: _rounded(figure) for name, figure in self.peers.items()},
                "lower_is_better": self.lower_is_better,
                "target": self.target,
                "durability": self.durability,
                "ratios": {name: _rounded(ratio) for name, ratio in self.ratios.items()},
                "met": self.met,
                **({} if self.limit is None else {"limit": self.limit}),
                "notes": self.notes,
                **self.extra,
            }
        )


def _rounded(figure: float | None) -> float | None:
    """Four significant digits after the point of small figures, none of large ones."""
    if figure is None:
        return None
    return round(figure, 4) if abs(figure) < 100 else round(figure, 1)


def print_table(title: str, all_figures: Sequence[Figures], console: Console) -> None:
    """The same figures as a table: a row for each thing that was measured."""
    table = Table(title=title)
    for heading in ("case", "", "figure", "unit", "ours ÷ it", "target", ""):
        right = heading in ("figure", "ours ÷ it", "target")
        table.add_column(heading, justify="right" if right else "left", overflow="fold", min_width=9 if right else None)
    for figures in all_figures:
        table.add_section()
        table.add_row(figures.case, "holdfast", _shown(figures.ours), figures.unit, "", "", _verdict(figures.met))
        references = {"bare": figures.bare, **figures.peers} if figures.bare is not None else figures.peers
        for name, figure in references.items():
            table.add_row("", name, _shown(figure), "", _shown(figures.ratios[name]), _target(figures, name))
    console.print(table)
    for figures in all_figures:
        for whose, text in {**figures.notes, **figures.extra}.items():
            console.print(f"{figures.case} · {whose}: {text}", style="dim", highlight=False)


def _shown(figure: float | None) -> str:
    if figure is None:
        return "-"
    return f"{figure:,.0f}" if figure >= 100 else f"{figure:.3g}"


def _target(figures: Figures, name: str) -> str:
    bound = figures.target.get(name)
    return "" if bound is None else f"{'≤' if figures.lower_is_better else '≥'} {bound:g}"


def _verdict(met: bool | None) -> str:
    return {True: "[green]met", False: "[red]missed", None: "[dim]not judged"}[met]
