"""Text to values: YAML and the words of a command line, read by the types of the schema; JSON.

A field for text gets its text as it stands: ``2024_05_01`` and ``on`` are names. Numbers, true and
false, lists and mappings are YAML, of which little is taken: no aliases, which can make gigabytes
of a page, no tags, no dates, and no 010 or 12:30, which YAML 1.1 takes for 8 and 750.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from types import NoneType
from typing import Any, ClassVar, get_args, get_origin

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from .errors import UserError
from .schema import kinds_of

YAML_BYTES = 2**16  # a recipe has 5 KB; PyYAML may take seconds for this
JSON_BYTES = 2**26
DEPTH = 24  # levels of lists and mappings
DIGITS = 64  # of a number

_NULL, _BOOL, _INT, _FLOAT, _STR = (f"tag:yaml.org,2002:{name}" for name in
                                    ("null", "bool", "int", "float", "str"))
_NULLS = ("", "~", "null", "Null", "NULL")
#: An item of ``[a, b]``, with the comma that ends it: in quotes, or all up to the comma.
_ITEM = re.compile(r"""\s*(?:("(?:[^"\\]|\\.)*"|'(?:[^']|'')*')\s*|([^,]*)),""", re.DOTALL)


class _Loader(yaml.SafeLoader):
    """YAML to nodes, as far as it is taken here."""

    yaml_implicit_resolvers: ClassVar[dict] = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag in (_NULL, _BOOL)]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()}
    depth = 0

    def compose_node(self, parent: Node | None, index: object) -> Node:
        event = self.peek_event()
        if isinstance(event, yaml.AliasEvent):
            raise _problem("aliases such as *name are not taken; write the value again", event)
        if getattr(event, "tag", None):
            raise _problem(f"tags such as {event.tag} are not taken", event)
        if self.depth == DEPTH:
            raise _problem(f"lists and mappings lie in each other, more than {DEPTH} deep", event)
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


_Loader.add_implicit_resolver(_INT, re.compile(
    r"[-+]?(?:0|[1-9][0-9_]*|0x[0-9a-fA-F_]+|0b[01_]+)$"), "-+0123456789")
_Loader.add_implicit_resolver(_FLOAT, re.compile(
    r"""[-+]?(?:(?:[0-9][0-9_]*\.[0-9_]*|\.[0-9][0-9_]*)(?:[eE][-+]?[0-9]+)?
        |[0-9][0-9_]*[eE][-+]?[0-9]+|\.(?:inf|Inf|INF))$|\.(?:nan|NaN|NAN)$""", re.VERBOSE),
    "-+.0123456789")


def _problem(text: str, place: Node | yaml.Event) -> yaml.YAMLError:
    return yaml.MarkedYAMLError(problem=text, problem_mark=place.start_mark)


def read_yaml(path: Path, kind: Any = Any) -> Any:
    """The content of a YAML file, ``None`` if it is empty.

    Args:
        kind: the type that says where text is wanted, such as a dataclass of the schema.

    Raises:
        UserError: no file, not YAML, or more of it than is taken; the message names the file.
    """
    return _from_yaml(_text(path, YAML_BYTES), kind, str(path))


def read_yaml_text(text: str, title: str, kind: Any = Any) -> Any:
    """The content of YAML that ``title`` names; see ``read_yaml``."""
    return _from_yaml(text, kind, title)


def read_word(key: str, word: str, kind: Any) -> Any:
    """The value that ``word`` gives to ``key`` on a command line.

    A list may go without its brackets. In a list of texts, an item is in quotes if it holds a
    comma, or is in brackets itself and alone.

    Raises:
        UserError: it is not YAML and no text is wanted; the message names the key and the word.
    """
    title, is_list = f"{key}={word}", get_origin(kind) is list
    if kind is str or _is_optional_text(kind):
        return None if kind is not str and word in _NULLS else word
    if is_list and get_args(kind) == (str,):
        trimmed = word.strip()
        if not trimmed.startswith("[") or not trimmed.endswith("]"):
            return [word] if word else []
        return list(_items(trimmed[1:-1], title))
    bare = is_list and not word.lstrip().startswith("[")
    return _from_yaml(f"[{word}]" if bare else word, kind, title[:200])


def _items(text: str, title: str) -> Iterator[str]:
    """The items of a list of texts, of what stands between its brackets."""
    matches = list(_ITEM.finditer(f"{text},"))
    for match in matches:
        quoted, bare = match.groups()
        if quoted is None and not bare.strip():
            if match is matches[-1]:  # [] and [a, ]
                return
            raise UserError(f"{title}: an item is empty")
        yield bare.strip() if quoted is None else _from_yaml(quoted, str, title)


def read_json(path: Path) -> Any:
    """The content of a JSON file.

    Raises:
        OSError: it cannot be read.
        ValueError: it is not JSON, or more of it than is taken.
    """
    with path.open("rb") as file:
        content = file.read(JSON_BYTES + 1)
    if len(content) > JSON_BYTES:
        raise ValueError(f"it has more than {JSON_BYTES >> 20} MiB")
    try:
        return json.loads(content.decode("utf-8-sig"))
    except RecursionError:
        raise ValueError("lists and mappings lie too deep in each other") from None


def _text(path: Path, limit: int) -> str:
    """The text of a file of at most ``limit`` bytes."""
    if path.is_dir():
        raise UserError(f"{path} is a folder, not a file")
    if path.exists() and not path.is_file():
        raise UserError(f"{path} is no ordinary file")
    with path.open("rb") as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise UserError(f"{path} has more than {limit >> 10} KiB; so much is not read")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not valid YAML, which is text in UTF-8: {error}") from None


def _from_yaml(text: str, kind: Any, title: str) -> Any:
    """The value of a YAML document; ``title`` begins the message of an error."""
    try:
        loader = _Loader(text)
        loader.name = title  # which PyYAML puts before line and column
        node = loader.get_single_node()
        return None if node is None else _value(node, kind)
    # Values that YAML cannot hold, such as "\UFFFFFFFF", leave PyYAML as they left chr or int.
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        raise UserError(f"{title} is not valid YAML: {error}") from None


def _value(node: Node, kind: Any) -> Any:
    """The value of a node, with the node's text where ``kind`` asks for text."""
    if isinstance(node, MappingNode):
        kinds, values = kinds_of(kind), {}
        for key, value in node.value:
            if not isinstance(key, ScalarNode):
                raise _problem("a key is a word, not a list or a mapping", key)
            if key.value in values:
                raise _problem(f"the key {key.value!r} is given twice", key)
            values[key.value] = _value(value, kinds.get(key.value, Any))
        return values
    item, = get_args(kind) if get_origin(kind) is list else (None,)
    if isinstance(node, SequenceNode):
        return [_value(value, item or Any) for value in node.value]
    if item and node.tag != _NULL:  # a list of one item, without its brackets
        return [_value(node, item)]
    if kind is str or (_is_optional_text(kind) and node.tag != _NULL):
        return node.value
    return _scalar(node)


def _scalar(node: ScalarNode) -> Any:
    """What YAML makes of a word."""
    if node.tag == _NULL:
        return None
    if node.tag == _BOOL:
        return yaml.SafeLoader.bool_values[node.value.lower()]
    if node.tag == _STR:
        return node.value
    if len(node.value) > DIGITS:
        raise _problem(f"a number has at most {DIGITS} digits", node)
    digits = node.value.replace("_", "").lower()
    return int(digits, 0) if node.tag == _INT else \
        float(digits.replace(".inf", "inf").replace(".nan", "nan"))


def _is_optional_text(kind: Any) -> bool:
    return set(get_args(kind)) == {str, NoneType}
