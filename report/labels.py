"""What methods are called in a paper: the ``NAME=LABEL`` words of the command line."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from unicodedata import normalize

from utils.errors import UserError

from .tables import RAISED, escape_latex, one_line

_ARGUMENT = r"(?:\[[^\]]*\])*(?:\{(?:[^{}]|\{[^{}]*\})*\})?"
#: Commands whose argument is no part of a name, with the space before them.
_DROPPED = re.compile(r"[~\s]*\\(?:[a-zA-Z]*cite[a-zA-Z]*|[a-z]*footnote(?:mark)?|tnote|label)\*?"
                      + _ARGUMENT)
#: Commands whose first argument says how the name looks or where it leads.
_LOOKS = re.compile(r"\\(?:(?:text|cell|row)?color(?:box)?|href)(?![a-zA-Z])" + _ARGUMENT)
_ACCENT = re.compile(r"""\\(["'`^~=])\s*(?:\{([a-zA-Z])\}|([a-zA-Z]))""")
_ACCENTS = dict(zip("\"'`^~=", "\u0308\u0301\u0300\u0302\u0303\u0304", strict=True))
_RAISED = str.maketrans("0123456789", RAISED)
_SYMBOLS = {"dagger": "†", "ddagger": "‡", "dag": "†", "ddag": "‡", "textdagger": "†",
            "textdaggerdbl": "‡", "ss": "ß", "o": "ø", "bigstar": "★", "times": "×", "ast": "*",
            "star": "⋆", "alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ"}


@dataclass(frozen=True)
class Label:
    """A method's name, and what it is called: as LaTeX, and as a text without commands.

    ``given`` is whether the command line says what it is called.
    """

    name: str
    latex: str
    text: str
    given: bool = False

    @classmethod
    def plain(cls, name: str, text: str) -> Label:
        """The label that says ``text`` as it is."""
        return cls(name, escape_latex(text), one_line(text))


def read_labels(option: str, words: Sequence[str], known: Collection[str] = ()) -> list[Label]:
    """The labels of ``NAME`` or ``NAME=LABEL`` words; a label is LaTeX, and taken as it is.

    Args:
        option: its name on the command line, for messages.
        known: names, which may have an equals sign, as those of files may.

    Raises:
        UserError: a name that comes twice, or LaTeX that would break the table around it.
    """
    labels: dict[str, Label] = {}
    for word in words:
        name, _, latex = (word, "", "") if word in known or Path(word).exists() \
            else word.partition("=")
        if problem := _problem(latex):
            raise UserError(f"{option} {word}: the label {problem}")
        if name in labels:
            raise UserError(f"{option}: {name} is named twice")
        labels[name] = Label(name, latex, plain_text(latex) or name, True) if latex \
            else Label.plain(name, Path(name).name or name)
    return list(labels.values())


def _problem(latex: str) -> str:
    """Why LaTeX cannot stand in a cell; empty where it can."""
    bare = re.sub(r"\\.", "", latex)
    if bare.endswith("\\"):
        return "ends with a backslash, which would join what follows it"
    if "\\\\" in latex or re.search(r"[\r\n]", latex):
        return "has a line break"
    if unescaped := re.search(r"[&%#]", bare):
        return f"has a bare {unescaped[0]}; LaTeX sets it as \\{unescaped[0]}"
    # Keys of citations may have underscores.
    words = re.sub(r"\$[^$]*\$|\\\(.*?\\\)|\\.", "", _DROPPED.sub("", latex))
    if unescaped := re.search(r"[_^]", words):
        return f"has a {unescaped[0]} outside of $…$" + (
            "; LaTeX sets it as \\_" if unescaped[0] == "_" else "")
    depths = [bare[:end].count("{") - bare[:end].count("}") for end in range(1, len(bare) + 1)]
    if depths and (depths[-1] or min(depths) < 0):
        return "has braces without a partner"
    return "has a $ without a partner" if bare.count("$") % 2 else ""


def plain_text(latex: str) -> str:
    """LaTeX as a text: citations and footnotes are left out, and colours; of other commands their
    argument stays; raised digits and letters with accents become those of Unicode."""
    text = _LOOKS.sub("", _DROPPED.sub("", latex))
    text = _ACCENT.sub(lambda match: normalize("NFC", (match[2] or match[3]) + _ACCENTS[match[1]]),
                       text)
    text = re.sub(r"\^\{?(\d+)\}?", lambda match: match[1].translate(_RAISED), text)
    text = re.sub(r"\\([a-zA-Z]+)\*?(?:\{\}|(?![a-zA-Z{])\s?)",
                  lambda match: _SYMBOLS.get(match[1], ""), text)
    text = re.sub(r"\\[a-zA-Z]+\*?(?=\{)", "", text)
    kept = re.sub(r"(?<!\\)[${}]|(?<!\\)[\^_](?=[{\w†‡⋆*])", "", text)
    kept = re.sub(r"\\([&%$#_{}])", r"\1", kept).replace("--", "–")
    return one_line(" ".join(re.sub(r"\\[,;: ]|~", " ", kept).split()))
