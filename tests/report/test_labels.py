"""What methods are called: LaTeX as it is given, and as a text."""

from __future__ import annotations

import pytest

from report.labels import plain_text, read_labels
from utils.errors import UserError


@pytest.mark.parametrize("latex, text", [
    (r"CPD~\cite{cpd}", "CPD"), (r"\textbf{Ours} \citep[see][p.~3]{a,b}", "Ours"),
    (r"U$^2$-Net", "U²-Net"), (r"U$^{2}$-Net$_{s}$", "U²-Nets"), (r"A\&B 50\% a\_b", "A&B 50% a_b"),
    (r"\textit{\textbf{x}}~y", "x y"), (r"Net$^\dagger$", "Net†"), (r"Net\footnote{new}", "Net"),
    (r"Net\footnote{see \cite{x} here}v2", "Netv2"), (r"\textcolor[rgb]{1,0,0}{A}~b", "A b"),
    (r"Gr\"u\ss{}e, \^{o}", "Grüße, ô"), (r"Net\dag", "Net†"), (r"\href{http://a.b}{Net}", "Net"),
    (r"Wu \emph{et al}.\,\cite{w}", "Wu et al."), ("a -- b", "a – b"), (r"{\bf Ours}", "Ours"),
    ("plain", "plain")])
def test_latex_becomes_a_text_without_commands(latex, text):
    assert plain_text(latex) == text


def test_labels_are_latex_and_names_alone_are_set_as_they_are(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x=y").mkdir()
    labels = read_labels("--methods", [r"a=A~\cite{a_1}", "b_1", "c=d", "x=y", "e=$e_1$\\_"],
                         known=["c=d"])
    assert [(label.name, label.latex, label.text, label.given) for label in labels] == [
        ("a", r"A~\cite{a_1}", "A", True), ("b_1", r"b\_1", "b_1", False),
        ("c=d", "c=d", "c=d", False), ("x=y", "x=y", "x=y", False), ("e", r"$e_1$\_", "e1_", True)]


@pytest.mark.parametrize("words, message", [
    (["a=A & B"], r"bare &; LaTeX sets it as \\&"), (["a=50%"], "bare %"), (["a=#1"], "bare #"),
    (["a=b_1"], r"a _ outside of \$…\$; LaTeX sets it as \\_"), (["a=$x$^2"], r"a \^ outside of"),
    (["a={A"], "braces without a partner"), (["a=}A{"], "braces without a partner"),
    (["a=A\\"], "ends with a backslash"), (["a=$x"], r"\$ without a partner"),
    (["a=A\\\\B"], "line break"), (["a=A\nB"], "line break"),
    (["a", "a=A"], "a is named twice")])
def test_labels_that_would_break_a_table_are_refused(words, message):
    with pytest.raises(UserError, match=message):
        read_labels("--methods", words)
