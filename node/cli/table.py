"""Tables on a terminal: a line of headings, columns as wide as their widest cell, numbers to the right."""

from __future__ import annotations

from collections.abc import Iterator, Sequence


def table(headings: Sequence[str], rows: Sequence[Sequence[str]], *, indent: str = "") -> Iterator[str]:
    """The lines of a table; a heading that ends in `>` stands over a column that is set to the right."""
    titles = [heading.removesuffix(">") for heading in headings]
    widths = [max(len(row[column]) for row in (titles, *rows)) for column in range(len(titles))]
    for row in (titles, *rows):
        cells = (
            cell.rjust(width) if heading.endswith(">") else cell.ljust(width)
            for cell, width, heading in zip(row, widths, headings, strict=True)
        )
        yield (indent + "  ".join(cells)).rstrip()


def shortened(text: str, width: int) -> str:
    """A text cut to a width, with a sign that it was."""
    return text if len(text) <= width else text[: width - 1] + "…"
