"""Tables in the terminal, as Markdown and LaTeX."""

from __future__ import annotations

import csv
import io
import re

import pytest
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
    csv_text,
    escape_latex,
    escape_markdown,
    latex,
    markdown,
    print_table,
    require_own_files,
    scores_table,
    terminal,
)
from utils.errors import UserError

from .made_rows import row


def unescaped(line: str, sign: str) -> int:
    return len(re.findall(rf"(?<!\\)(?:\\\\)*{re.escape(sign)}", line))


@given(st.text())
def test_latex_sets_any_text_as_it_is(text):
    escaped = escape_latex(text)
    plain = re.sub(r"\\(textbackslash|textasciitilde|textasciicircum|textbar|textless|textgreater|"
                   r"textendash|dots)\{\}|\\[&%$#_{}]|\{[\[*`]\}|\$(-|\\checkmark|\\leftarrow|\\pm|\\d?dagger|\\times|\^\d)\$|-\{\}",
                   "", escaped)
    assert not set(plain) & set("\\{}&%$#_~^[*|<>`\"\n\r\x00")
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


@pytest.mark.parametrize("width", [30, 40, 80, 200, None])
def test_tables_fit_the_terminal_and_their_numbers_are_never_cut(width, monkeypatch, capsys):
    monkeypatch.delenv("COLUMNS", raising=False)
    if width:
        monkeypatch.setenv("COLUMNS", str(width))
    rows = [row(f"[bold]method {n}[/]", **{name: n + place / 7 for place, name in enumerate(
        ("MAE", "maxF", "meanF", "adpF", "wF", "Sm", "maxE", "meanE"))}) for n in range(5)]
    rows[0]["method"] = "/a/long/path/" * 3
    print_table(scores_table(rows, "source"))
    out = capsys.readouterr().out
    lines = out.splitlines()
    assert max(map(len, lines)) <= (width or 200)
    for number in (f"{n + place / 7:.4f}" for n in range(5) for place in range(8)):
        assert number in out
    assert "…" not in out
    plain = "".join(re.findall(r"│ [^│]*?([^│ ]*) *│$", "\n".join(lines), re.MULTILINE))
    assert "[bold]method" in out and ("/a/long/path/" * 3 in out or "/a/long" in plain + out)
    assert any("method" in line and "data set" in line for line in lines) == (
        width in (200, None))  # else it is turned on its side


def test_a_table_in_a_file_has_its_full_width(monkeypatch, capsys):
    monkeypatch.delenv("COLUMNS", raising=False)
    print_table(Table("[bold]t[/bold]", ["a", "b"], [[[Cell("x" * 300), Cell("[red]0.5")]]],
                      notes=["a note\non two lines"]))
    out = capsys.readouterr().out
    assert "x" * 300 in out and "[red]0.5" in out  # neither cut nor taken for markup
    assert out.startswith("[bold]t[/bold]\n") and "• a note on two lines" in out


@pytest.mark.parametrize("value, written", [
    ("=1+1", "'=1+1"), ("+a", "'+a"), ("-a", "'-a"), ("@a", "'@a"), ("\ta", "'\ta"),
    ("\ra", "'\ra"), ("a=1", "a=1"), ("-0.003", "-0.003"), ("+0.1", "+0.1"), (-0.5, "-0.5")])
def test_no_name_is_a_formula_in_csv(value, written):
    (line,) = csv.DictReader(io.StringIO(csv_text([{"a": value}]), newline=""))
    assert line["a"] == written


def test_entities_and_formulas_in_markdown_are_text():
    assert escape_markdown("&lt;b&gt; $x$") == r"\&lt;b\&gt; \$x\$"


def test_files_must_differ(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "a")
    require_own_files({tmp_path / "b": "it is kept"}, [("--json", None), ("--csv", tmp_path / "a")])
    for name, message in (("link", "--csv writes that file already"), ("b", "it is kept")):
        with pytest.raises(UserError, match=message):
            require_own_files({tmp_path / "b": "it is kept"},
                              [("--csv", tmp_path / "a"), ("--json", tmp_path / name)])


def test_no_table_is_written_over_a_picture(tmp_path):
    require_own_files({}, [("--csv", tmp_path / "a.png")])
    (tmp_path / "a.png").touch()
    with pytest.raises(UserError, match=r"--csv .*a\.png: a picture lies there"):
        require_own_files({}, [("--csv", tmp_path / "a.png")])


def styles_in_terminal(table: Table) -> dict[str, Style]:
    """Text of each cell → how it is printed."""
    segments = Console(width=1000).render(terminal(table))
    return {segment.text.strip(): segment.style or Style.null() for segment in segments}
