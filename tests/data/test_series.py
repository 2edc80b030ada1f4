"""Windows of time series: files, parts, what is refused, and the card."""

import json

import numpy as np
import pytest

from unmask.core import check_batch
from unmask.data.evaluation import evaluation_batches
from unmask.data.loading import TooManyUnreadable
from unmask.data.picture import Unreadable
from unmask.data.series import SeriesSource, borders, open_series
from unmask.data.series_card import SeriesCard, inspect_series
from unmask.data.series_files import read_tables
from unmask.data.series_views import SeriesView
from unmask.data.source import Source
from unmask.data.stream import TrainingStream
from unmask.data.values import ValueSubset, whole_of


def write(path, rows: list[str]):
    path.write_text("\n".join(rows) + "\n")
    return path


def hours(count: int = 100, columns: int = 2) -> list[str]:
    """A table with a column of dates; the value in row r and column c is r + 1000 c."""
    names = ["date", *(f"c{i}" for i in range(columns))]
    rows = [
        f"2020-01-{1 + r // 24:02d} {r % 24:02d}:00:00," + ",".join(str(r + 1000 * c) for c in range(columns))
        for r in range(count)
    ]
    return [",".join(names), *rows]


@pytest.fixture
def table(tmp_path):
    return write(tmp_path / "load.csv", hours())


def test_a_column_of_dates_is_left_out_and_tells_the_step(table):
    (found,) = read_tables(table)
    assert found.channels == ("c0", "c1")
    assert found.step == "1 hour"
    assert found.values[3].tolist() == [3, 1003]


@pytest.mark.parametrize(
    ("dates", "step"),
    [
        (["2020-01-01", "2020-01-02", "2020-01-03"], "1 day"),
        (["2020-01-01 00:00", "2020-01-01 00:15", "2020-01-01 00:30"], "15 minutes"),
        (["2020-01-01", "2020-01-02", "2020-01-05"], "irregular"),
    ],
)
def test_steps_in_words(tmp_path, dates, step):
    path = write(tmp_path / "a.csv", ["when,x", *(f"{date},{i}" for i, date in enumerate(dates))])
    assert read_tables(path)[0].step == step


def test_a_table_without_a_header_has_numbered_channels(tmp_path):
    (found,) = read_tables(write(tmp_path / "a.csv", ["1,2", "3,4"]))
    assert found.channels == ("channel_0", "channel_1")
    assert found.values.tolist() == [[1, 2], [3, 4]]


def test_arrays_and_parquet_hold_the_same_series(tmp_path, table):
    import pyarrow as pa
    import pyarrow.csv as reader
    import pyarrow.parquet as parquet

    values = read_tables(table)[0].values
    np.save(tmp_path / "a.npy", values)
    np.savez(tmp_path / "b.npz", x=values, other=np.zeros((2, 2, 2)))
    parquet.write_table(pa.Table.from_batches(reader.read_csv(table).to_batches()), tmp_path / "c.parquet")
    for name in ("a.npy", "b.npz", "c.parquet"):
        assert np.array_equal(read_tables(tmp_path / name)[0].values, values), name
    assert read_tables(tmp_path / "c.parquet")[0].step == "1 hour"


def test_channels_are_chosen_by_name_in_order(table):
    assert open_series(table, 10, channels=["c1"]).read(0)[0].tolist() == [1000]
    with pytest.raises(ValueError, match="no column 'x'; it has c0, c1"):
        open_series(table, 10, channels=["x"])


def test_parts_are_ranges_of_time():
    assert borders("anything.csv", 100) == (found := borders("x", 100))
    assert (found.train, found.validation, found.test, found.published) == (70, 80, 100, False)
    etth = borders("ETTh1.csv", 17420)
    assert (etth.train, etth.validation, etth.test, etth.published) == (8640, 11520, 14400, True)
    assert borders("ETTm2.csv", 69680).test == 57600
    assert not borders("ETTh1.csv", 1000).published


def test_a_window_is_named_by_its_first_row_and_belongs_where_its_last_rows_lie(table):
    source = open_series(table, 10, horizon=5)
    assert source.items[0].name == "load.csv[000]"
    assert source.read(7)[:, 0].tolist() == list(range(7, 22))
    lasts = {part: [int(source.items[i].name[9:12]) + 10 for i in places] for part, places in source.splits().items()}
    assert (lasts["train"][0], lasts["train"][-1]) == (10, 65)  # the rows to forecast end before row 70
    assert (lasts["validation"][0], lasts["validation"][-1]) == (70, 75)
    assert (lasts["test"][0], lasts["test"][-1]) == (80, 95)


def test_without_rows_to_forecast_every_window_is_in_one_part(table):
    counts = {part: len(places) for part, places in open_series(table, 10).splits().items()}
    assert counts == {"train": 61, "validation": 10, "test": 20}


def test_statistics_are_those_of_the_training_rows_alone(table):
    card = inspect_series(open_series(table, 10))
    rows = np.arange(70)
    assert card.mean == pytest.approx((rows.mean(), rows.mean() + 1000))
    assert card.std == pytest.approx((rows.std(), rows.std()))
    assert card.maximum == (69, 1069)
    few = open_series(table, 10).subset([0, 1])
    assert inspect_series(few).mean == card.mean
    assert inspect_series(few).count == 2


def test_a_card_says_what_it_knows_and_comes_back_from_json(table):
    card = inspect_series(open_series(table, 10))
    assert SeriesCard.from_json(card.to_json()) == card
    text = card.to_text(SeriesView(10))
    for words in ("91 of 10 rows", "load.csv: 70 + 10 + 20 rows (70, 10 and 20 %)", "1 hour", "2: c0, c1", "none"):
        assert words in text
    with pytest.raises(ValueError, match="unknown entry 'age'"):
        SeriesCard.from_json({**json.loads(card.to_json()), "age": 3})


def test_the_card_standardises_and_restores(table):
    source = open_series(table, 10, horizon=2)
    card = inspect_series(source)
    sample = SeriesView(10)(source.read(0), card)
    assert (sample["series"].shape, sample["future"].shape) == ((10, 2), (2, 2))
    assert card.restore(sample["future"])[:, 0].tolist() == pytest.approx([10, 11])
    check_batch({key: value[None] for key, value in sample.items()})


def test_several_files_are_several_series_and_no_window_spans_two(tmp_path):
    for name in ("a", "b"):
        write(tmp_path / f"{name}.csv", hours(20))
    source = open_series(tmp_path, 5)
    assert {item.name.split("[")[0] for item in source.items} == {"a.csv", "b.csv"}
    assert len(source) == 2 * 16
    assert len(whole_of(source, SeriesSource).training_rows()) == 2 * 14


def test_training_goes_through_windows_in_an_order_of_the_seed(table):
    source = open_series(table, 10)
    training = source.subset(source.splits()["train"])
    card, view = inspect_series(training), SeriesView(10)
    options = {"seed": 3, "batch": 4, "steps": 5}
    first, second = (list(TrainingStream(training, card, view, **options)) for _ in range(2))
    assert [b["index"].tolist() for b in first] == [b["index"].tolist() for b in second]
    assert first[0]["series"].shape == (4, 10, 2)
    later = list(TrainingStream(training, card, view, start=3, **options))
    assert later[0]["index"].tolist() == first[3]["index"].tolist()


def test_windows_with_missing_values_are_refused_named_and_counted(tmp_path):
    rows = hours()
    rows[31] = rows[31].rsplit(",", 1)[0] + ","  # row 30 lacks c1
    source = open_series(write(tmp_path / "gap.csv", rows), 10)
    with pytest.raises(Unreadable, match=r"lacks 1 value\(s\), the first in row 30 of c1"):
        source.read(25)
    card = inspect_series(source)
    assert card.missing == {"c1": 1}
    batches = evaluation_batches(source, card, SeriesView(10), budget=1.0)
    assert sum(len(batch["index"]) for batch in batches) == len(source) - 10
    assert len(batches.faults) == 10
    with pytest.raises(TooManyUnreadable, match="of 91 windows cannot be used"):
        list(evaluation_batches(source, card, SeriesView(10)))


def test_a_channel_without_a_number_in_its_training_rows_is_refused(tmp_path):
    rows = ["a,b", *(f"{i},{i if i >= 90 else ''}" for i in range(100))]
    with pytest.raises(ValueError, match=r"column 'b' of .* has no number in its training rows"):
        inspect_series(open_series(write(tmp_path / "late.csv", rows), 10))


def test_changed_values_change_the_fingerprint_also_of_a_part(tmp_path, table):
    before = open_series(table, 10)
    part = before.subset([1, 2]).subset([0])
    assert isinstance(part, ValueSubset)
    write(table, [*hours()[:-1], hours()[-1].replace("1099", "1098")])
    after = open_series(table, 10)
    assert before.fingerprint() != after.fingerprint()
    assert part.fingerprint() != after.subset([1]).fingerprint()
    assert before.fingerprint() == open_series(write(tmp_path / "load.csv", hours()), 10).fingerprint()


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (["a,b", "1,x", "2,3"], "column 'b' of .* holds 'x' in row 0, where a number is expected"),
        (["a,b", "x,y", "u,v"], "has no numeric column"),
        (["a,b", "1,2", "3"], "line 3 of .* has 1 columns, the first has 2"),
        (["a,b"], "has a header but no rows"),
        ([""], "is empty"),
    ],
)
def test_tables_that_are_none_get_one_sentence(tmp_path, rows, words):
    with pytest.raises(ValueError, match=words):
        read_tables(write(tmp_path / "bad.csv", rows))


def test_a_series_that_is_shorter_than_a_window_is_named(tmp_path):
    for name, rows in (("a", 100), ("b", 8)):
        write(tmp_path / f"{name}.csv", hours(rows))
    with pytest.raises(ValueError, match=r"b.csv has 8 rows, too few for a window of 10"):
        open_series(tmp_path, 10)


def test_other_mistakes_get_one_sentence(tmp_path, table):
    with pytest.raises(ValueError, match=r"load.csv has 100 rows, too few for a window of 500"):
        open_series(table, 500)
    with pytest.raises(FileNotFoundError, match=r"DATA is a \.csv"):
        open_series(tmp_path / "none.csv", 10)
    write(tmp_path / "other.csv", hours(50, columns=3))
    with pytest.raises(ValueError, match=r"other.csv has 3 columns \(c0, c1, c2\), load.csv has 2"):
        open_series(tmp_path, 10)
    np.savez(tmp_path / "two.npz", a=np.zeros((5, 2)), b=np.zeros((5, 2)))
    with pytest.raises(ValueError, match=r"chosen with two\.npz::KEY"):
        open_series(tmp_path / "two.npz", 2)
    assert open_series(f"{tmp_path}/two.npz::a", 2).channels == ("channel_0", "channel_1")
    with pytest.raises(TypeError, match="pictures, not windows"):
        whole_of(Source("somewhere", []), SeriesSource)
