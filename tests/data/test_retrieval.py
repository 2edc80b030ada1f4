"""Collections for retrieval: what is read and what is refused."""

import pytest

from small_text import make_lines
from unmask.data.retrieval import read_collection


def collection(folder, judgements: str, beir: bool = False):
    name = "_id" if beir else "id"
    make_lines(folder / "corpus.jsonl", [{name: i, "title": f"t{i}", "text": f"d{i}"} for i in (1, 2)])
    make_lines(folder / "queries.jsonl", [{name: "a", "text": "q"}])
    place = folder / ("qrels/test.tsv" if beir else "qrels.tsv")
    place.parent.mkdir(exist_ok=True)
    place.write_text(judgements)
    return folder


@pytest.mark.parametrize("beir", [False, True])
def test_titles_stand_before_the_text_and_judgements_have_grades(tmp_path, beir):
    found = read_collection(collection(tmp_path, "query-id\tcorpus-id\tscore\na\t1\t1\na\t2\t0\n", beir))
    assert found.documents == {"1": "t1 d1", "2": "t2 d2"}
    assert found.grades == {"a": {"1": 1, "2": 0}}


@pytest.mark.parametrize(
    ("judgements", "words"),
    [
        ("a\t1\tx\na\t1\ty\n", "line 2 of .* is not query, document and grade"),
        ("b\t1\t1\n", "names query 'b', which is not there"),
        ("a\t3\t1\n", "names document '3', which is not there"),
        ("a\t1\t0\n", "names no document that answers a query"),
    ],
)
def test_judgements_that_do_not_fit_get_one_sentence(tmp_path, judgements, words):
    with pytest.raises(ValueError, match=words):
        read_collection(collection(tmp_path, judgements))


def test_what_is_no_collection_is_refused(tmp_path):
    with pytest.raises(ValueError, match="is no collection for retrieval; DATA is a folder with"):
        read_collection(tmp_path)
    folder = collection(tmp_path, "a\t1\t1\n")
    (folder / "queries.jsonl").write_text("{}\n")
    with pytest.raises(ValueError, match=r"line 1 of .*queries\.jsonl is not JSON like"):
        read_collection(folder)
