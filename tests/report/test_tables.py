"""Tables in the terminal, as Markdown and LaTeX."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.style import Style

from report.comparison import compare_with_papers, comparison_tables
from report.tables import (
    BEST,
    SECOND,
    UNSURE,
    Cell,
    Table,
    escape_latex,
    latex,
    markdown,
    print_table,
    terminal,
)

from .made_rows import row


def unescaped(line: str, sign: str) -> int:
    return len(re.findall(rf"(?<!\\)(?:\\\\)*{re.escape(sign)}", line))


@given(st.text())
def test_latex_sets_any_text_as_it_is(text):
    escaped = escape_latex(text)
    plain = re.sub(r"\\(textbackslash|textasciitilde|textasciicircum|textbar|textless|textgreater|"
                   r"textendash|dots)\{\}|\\[&%$#_{}]|\{[\[*]\}|\$(-|\\checkmark|\\leftarrow)\$|-\{\}",
                   "", escaped)
    assert not set(plain) & set("\\{}&%$#_~^[*|<>\"\n\r\x00")
    assert "--" not in escaped


@given(st.lists(st.lists(st.text(), min_size=3, max_size=3), max_size=4),
       st.sampled_from(["", BEST, SECOND, UNSURE]), st.text())
def test_tables_keep_their_shape_whatever_stands_in_them(rows, mark, note):
    table = Table("t", ["a", "b", "c"], [[[Cell(text, mark) for text in line] for line in rows]],
                  notes=[note])
    body = latex(table).split("\\midrule\n")[1].split("\\bottomrule")[0].splitlines()
    assert len(body) == len(rows)
    for line in body:
        assert line.endswith(r" \\")
        assert unescaped(line, "&") == 2
        assert unescaped(line, "{") == unescaped(line, "}")
        assert not line.startswith(("[", "*"))
    piped = [line for line in markdown(table).splitlines() if line.startswith("|")]
    assert [unescaped(line, "|") for line in piped] == [4] * (len(rows) + 2)


def test_unverified_numbers_are_grey_in_the_terminal(recipe):
    comparisons = compare_with_papers([row(maxF=.936, MAE=.04)], {"ours": recipe}, ["ECSSD"])
    (table,) = comparison_tables(comparisons, {"ours": recipe})
    styles = styles_in_terminal(table)
    for text in ("0.0400", "?"):  # the numbers of the row, and the sign at its end
        red, green, blue = styles[text].color.get_truecolor()
        assert 64 < red == green == blue < 192
    assert [styles[text].color for text in ("0.936", "✓")] == [None, None]


def test_best_and_second_best_look_different_in_the_terminal():
    row_of_cells = [Cell("1", BEST), Cell("2", SECOND), Cell("3")]
    styles = styles_in_terminal(Table("t", ["a", "b", "c"], [[row_of_cells]]))
    assert [(bool(styles[text].bold), bool(styles[text].underline)) for text in "123"] == [
        (True, False), (False, True), (False, False)]


def test_a_table_is_printed_at_full_width_whatever_its_cells_hold(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "40")
    print_table(Table("[bold]t[/bold]", ["a", "b"], [[[Cell("x" * 100), Cell("[red]0.5")]]],
                      notes=["a note\non two lines"]))
    out = capsys.readouterr().out
    assert "x" * 100 in out and "[red]0.5" in out  # neither cut nor taken for markup
    assert out.startswith("[bold]t[/bold]\n") and "• a note on two lines" in out


def styles_in_terminal(table: Table) -> dict[str, Style]:
    """Text of each cell → how it is printed."""
    segments = Console(width=1000).render(terminal(table))
    return {segment.text.strip(): segment.style or Style.null() for segment in segments}
