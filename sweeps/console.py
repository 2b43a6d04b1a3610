"""What the commands print: tables that fit the terminal, and the answer of a study.

Owns widths and columns. Refuses to know which command was given.
"""

import os
import sys
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from sweeps.analysis.results import StudyResults

PIPE_WIDTH = 140
FOLDED = 16
"""Characters that a column keeps where its texts are folded."""
out = Console(highlight=False, width=None if sys.stdout.isatty() or os.environ.get("COLUMNS") else PIPE_WIDTH)


def say(text: str) -> None:
    """One line, however wide."""
    out.print(text, soft_wrap=True, markup=False)


def show_results(results: "StudyResults") -> None:
    """The table, the arms, the sentences and the notes."""
    from sweeps.tables import arms_note, arms_table, headline, headline_table, table_note
    shown = headline_table(results)
    show_table(f"study {results.study}", [dict(zip(shown.columns, row, strict=True)) for row in shown.rows], shown.numeric)
    out.print(table_note(results), soft_wrap=True)
    arms = arms_table(results)
    for capacity in dict.fromkeys(row[0] for row in arms.rows):
        rows = [dict(zip(arms.columns[1:-1], row[1:-1], strict=True)) for row in arms.rows if row[0] == capacity]
        show_table(f"arms at {capacity}", rows, arms.numeric)
    if arms.rows:
        out.print(arms_note(results), soft_wrap=True)
    for sentence in headline(results):
        out.print(f"- {sentence}", soft_wrap=True)
    for note in results.notes:
        out.print(f"  note: {note}", soft_wrap=True)


def show_table(title: str, rows: list[dict[str, Any]], numeric: Collection[str] = ()) -> None:
    """The rows as a table; columns that do not fit beside the others follow in a second one under the first column's names.

    Where not even folded cells could be read, a line for each cell.
    """
    groups = _fitting(rows, out.width)
    if not groups:
        _show_lines(title, rows)
    for columns in groups:
        table = Table(title=title, title_justify="left")
        for column in columns:
            table.add_column(Text(column), overflow="fold", justify="right" if column in numeric else "left")
        for row in rows:
            table.add_row(*(Text(str(row.get(column, ""))) for column in columns))
        out.print(table)
        title = ""


def _show_lines(title: str, rows: list[dict[str, Any]]) -> None:
    out.print(Text(title))
    for row in rows:
        for place, (name, value) in enumerate(row.items()):
            if str(value):
                out.print(Text(f"{'    ' if place else '  '}{name}: {value}"), soft_wrap=True)


def _fitting(rows: list[dict[str, Any]], width: int) -> list[list[str]]:
    """The columns in as many groups as the width asks for. A table whose texts are sentences stays one: they are folded.

    No group where that would leave a column less than FOLDED characters.
    """
    names = list(dict.fromkeys(key for row in rows for key in row))
    widths = {name: 3 + max(len(name), *(len(str(row.get(name, ""))) for row in rows)) for name in names}
    if not names or max(widths.values()) > width // 2:
        readable = 1 + sum(min(wanted, 3 + FOLDED) for wanted in widths.values()) <= width
        return [names] if readable else []
    groups, taken = [[names[0]]], 1 + widths[names[0]]
    for name in names[1:]:
        if taken + widths[name] > width:
            groups, taken = [*groups, [names[0]]], 1 + widths[names[0]]
        groups[-1].append(name)
        taken += widths[name]
    return groups
