"""``results/scores.json``: what is kept, what goes, and what cannot be read."""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor

import pytest

from scoring.scores import forget, keep_scores, read_scores
from utils.errors import UserError


def row(profile: str = "matlab", mae: float = 0.5, **more) -> dict:
    return {"method": "a", "dataset": "SOD", "images": 1, "expected": 1, "profile": profile,
            "MAE": mae} | more


@pytest.mark.parametrize("content, message", [
    ("", "Expecting value"), ('[{"method": "a"', "delimiter"), ("{}", "not a list"),
    ("[3]", "row 0 is not a mapping"), ('[{"method": "a"}]', "row 0 has no dataset"),
    ('[{"method": "a", "dataset": "b", "profile": "c", "images": 1, "MAE": "x"}]',
     "row 0 has no number for MAE"),
    ('[{"method": "a", "dataset": "b", "profile": "c", "images": 1, "origin": 3}]',
     "row 0 has a damaged 'origin'"),
    ('[{"method": "a", "dataset": "b", "profile": "c", "images": 1, "content": [1]}]',
     "row 0 has a damaged 'content'"),
    ('[{"method": "a", "dataset": "b", "profile": "c", "images": 1, "expected": null}]',
     "row 0 has a damaged 'expected'"), ("\xff", ""), ("[" * 100_000, "too deep"),
    ('[{"method": "a", "dataset": "b", "profile": "c", "images": 1, "MAE": NaN}]', "for MAE"),
    ('[{"method": "a", "dataset": "b", "profile": "c", "images": 1, "MAE": 1e999}]', "for MAE"),
    (f'[{{"method": "a", "dataset": "b", "profile": "c", "images": 1, "MAE": 1{"0" * 400}}}]',
     "for MAE"), (f'[{{"method": "a", "dataset": "b", "profile": "c", "images": 1{"0" * 5000}}}]',
                  "5001 digits"),
    ('[{"method": "a", "dataset": "b", "profile": "c", "images": -1}]', "damaged 'images'"),
    ('[{"method": "a", "dataset": "b", "profile": "c", "images": 1, "scored": {"earlier": 3}}]',
     "damaged 'scored'"),
    (f"[{', '.join(2 * [json.dumps(row())])}]", "several rows are of a on SOD under")])
def test_a_damaged_file_is_one_clear_line_and_stays(tmp_path, content, message):
    path = tmp_path / "scores.json"
    path.write_bytes(content.encode("latin-1"))
    for use in (lambda: read_scores(path), lambda: keep_scores(path, [row()])):
        with pytest.raises(UserError) as raised:
            use()
        text = str(raised.value)
        assert text.startswith(f"{path} cannot be used: ") and "\n" not in text
        assert message in text and "delete it and score again" in text
    assert path.read_bytes() == content.encode("latin-1")


def test_a_byte_order_mark_of_an_editor_is_read(tmp_path):
    path = tmp_path / "scores.json"
    path.write_text(json.dumps([row()]), "utf-8-sig")
    assert read_scores(path) == [row()]


def test_new_scores_of_the_same_maps_leave_the_other_profiles(tmp_path, capsys):
    path = tmp_path / "scores.json"
    keep_scores(path, [row("matlab", content="x", maps="old"), row("tracer", 0.4, content="x")])
    kept = keep_scores(path, [row("matlab", 0.3, content="x", maps="new", origin=None)])
    assert kept == read_scores(path) == json.loads(path.read_text())
    assert list(kept[1])[:6] == list(row())  # keys stay in their order
    assert [(r["profile"], r["MAE"], r["maps"]) for r in kept] == [
        ("matlab", 0.3, "new"), ("tracer", 0.4, "new")]  # the same maps, moved
    assert capsys.readouterr().err == ""


def test_scores_of_other_maps_replace_those_under_all_profiles(tmp_path, capsys):
    path = tmp_path / "scores.json"
    keep_scores(path, [row("matlab", content="x"), row("tracer", content="x"),
                       row("tracer", method="b", content="x")])
    kept = keep_scores(path, [row("matlab", 0.3, content="y")])
    assert [(r["method"], r["profile"], r["MAE"]) for r in kept] == [
        ("a", "matlab", 0.3), ("b", "tracer", 0.5)]
    assert ("scores of a on SOD kept before were of other maps or masks (profiles matlab, tracer)"
            in capsys.readouterr().err)


def test_new_numbers_of_the_same_maps_leave_the_others(tmp_path, capsys):
    path = tmp_path / "scores.json"
    first, second, third = ({"date": date, "commit": "c"} for date in "123")
    keep_scores(path, [row(content="x", maxF=.1, scored=first, origin=None)])
    keep_scores(path, [{key: value for key, value in row(
        content="x", Sm=.3, scored=second).items() if key != "MAE"}])
    (kept,) = keep_scores(path, [row(mae=.2, content="x", scored=third)])
    assert kept == row(mae=.2, maxF=.1, Sm=.3, content="x", origin=None,
                       scored=third | {"earlier": {"maxF": first, "Sm": second}})
    assert list(kept) == ["method", "dataset", "images", "expected", "profile", "MAE", "maxF",
                          "Sm", "content", "scored", "origin"]
    assert capsys.readouterr().err == ""


def test_rows_are_forgotten_by_method_or_by_set(tmp_path, capsys):
    path = tmp_path / "scores.json"
    rows = [row(), row("tracer"), row(dataset="ECSSD"), row(method="b/c"), row(method="d")]
    keep_scores(path, rows)
    forget(path, ["a/sod", "b/c"])
    assert [(r["method"], r["dataset"]) for r in read_scores(path)] == [
        ("a", "ECSSD"), ("d", "SOD")]
    assert capsys.readouterr().out == (
        "forgot the scores of a on SOD (profiles matlab, tracer)\n"
        "forgot the scores of b/c on SOD (profiles matlab)\n")
    for name, message in (("a/ECSD", "did you mean 'a/ECSSD'?"), ("c", "known: a, d")):
        with pytest.raises(UserError, match=re.escape(message)):
            forget(path, ["d", name])
    assert len(read_scores(path)) == 2  # all or none
    forget(path, ["a", "d"])
    with pytest.raises(UserError, match="no scores at all"):
        forget(path, ["a"])


def test_where_scores_cannot_be_kept_they_are_returned_with_a_note(tmp_path, capsys):
    rows = [{"method": "a", "dataset": "b", "profile": "c", "images": 1, "expected": 1, "MAE": .1}]
    assert keep_scores(tmp_path / "new/scores.json", []) == []
    assert not (tmp_path / "new").exists()
    (tmp_path / "file").write_text("")
    assert keep_scores(tmp_path / "file/scores.json", rows) == rows
    assert "the scores are not kept in" in capsys.readouterr().err


def test_a_file_that_could_not_be_replaced_leaves_no_other_behind(tmp_path, monkeypatch, capsys):
    def full(*_):
        raise OSError(28, "No space left on device")

    path = tmp_path / "scores.json"
    keep_scores(path, [row(content="x")])
    monkeypatch.setattr(type(path), "replace", full)
    kept = keep_scores(path, [row(content="y")])
    assert [r["content"] for r in kept] == ["y"] and read_scores(path)[0]["content"] == "x"
    assert capsys.readouterr().err.count("of other maps or masks") == 1
    assert list(tmp_path.glob("*.tmp")) == []


def test_evaluations_at_the_same_time_keep_all_their_scores(tmp_path):
    rows = [{"method": f"{number:02d}", "dataset": "SOD", "profile": "matlab", "images": 1,
             "expected": 1, "MAE": 0.5} for number in range(40)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda row: keep_scores(tmp_path / "scores.json", [row]), rows))
    assert read_scores(tmp_path / "scores.json") == rows
