"""The text of the numbers, read back by the official parser."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client import Histogram as OfficialHistogram
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from proxy.exposition import Family, Histogram, row

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r"))
BOUNDS = (0.1, 1.0, 2.5)


def read(text: str) -> Metric:
    [family] = text_string_to_metric_families(text)
    return family


def test_a_family_says_what_it_is() -> None:
    family = read(Family("counter", "requests_total", "Requests of users").text())
    assert (family.name, family.type, family.documentation) == ("requests", "counter", "Requests of users")


def test_a_set_of_labels_is_there_from_when_it_is_asked_for() -> None:
    family = Family("gauge", "open", "Open", "route")
    assert read(family.text()).samples == []
    family.labels("a")
    assert [(sample.labels, sample.value) for sample in read(family.text()).samples] == [({"route": "a"}, 0)]


def test_the_same_labels_are_the_same_number() -> None:
    family = Family("counter", "requests_total", "Requests", "route", "side")
    family.labels("a", "native").inc()
    family.labels("a", "native").inc()
    family.labels("native", "a").inc()
    found = {(sample.labels["route"], sample.labels["side"]): sample.value for sample in read(family.text()).samples}
    assert found == {("a", "native"): 2, ("native", "a"): 1}


def test_a_gauge_goes_down_as_well() -> None:
    number = Family("gauge", "open", "Open").labels()
    number.inc()
    number.inc()
    number.dec()
    assert number.value == 1


@pytest.mark.parametrize("values", [(), ("a", "b")])
def test_labels_are_as_many_as_were_announced(values: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="zip"):
        Family("gauge", "open", "Open", "route").labels(*values)


@given(st.dictionaries(st.tuples(TEXTS, TEXTS), st.floats(allow_nan=False)))
def test_any_label_and_any_number_is_read_back_as_it_was(values: dict[tuple[str, str], float]) -> None:
    family = Family("gauge", "open", "Open", "b", "a")
    for labels, value in values.items():
        family.labels(*labels).value = value
    samples = read(family.text()).samples
    assert {(sample.labels["b"], sample.labels["a"]): sample.value for sample in samples} == values


@given(st.lists(st.sampled_from([0.0, 0.05, 0.1, 0.10001, 1.0, 2.0, 2.5, 2.6, 1000.0])))
def test_a_histogram_reads_like_the_official_one(seconds: list[float]) -> None:
    registry = CollectorRegistry()
    official = OfficialHistogram("seconds", "Time", ("route", "side"), buckets=BOUNDS, registry=registry)
    ours = Histogram("seconds", "Time", BOUNDS, "route", "side")
    official.labels("a", "native")
    for each in seconds:
        official.labels("a", "native").observe(each)
        ours.labels("a", "native").observe(each)
    ours.labels("a", "native")
    theirs = [line for line in generate_latest(registry).decode().splitlines() if "_created" not in line]
    assert sorted(ours.text().splitlines()) == sorted(theirs)


def test_what_has_moved_is_in_the_short_text_wherever_it_lies() -> None:
    counter = Family("counter", "asked_total", "How often", "route")
    together, apart = row(3), row(2)
    laid = [counter.lay(together, place, name) for place, name in ((2, "a"), (0, "b"))] + [counter.lay(apart, 1, "c")]
    own = [counter.labels(name) for name in "def"]
    for number in (laid[1], own[1], own[2]):
        number.inc()
    together[1] = 7.0  # another family's
    assert {s.labels["route"]: s.value for s in read(counter.moved()).samples} == {"b": 1.0, "e": 1.0, "f": 1.0}
    laid[2].inc()
    assert {s.labels["route"] for s in read(counter.moved()).samples} == {"b", "c", "e", "f"}


def test_what_has_not_moved_is_left_out_of_the_short_text_unless_it_is_a_gauge() -> None:
    counter, gauge = Family("counter", "requests_total", "Requests", "route"), Family("gauge", "open", "Open", "route")
    histogram = Histogram("seconds", "Time", BOUNDS, "route")
    for family in (counter, gauge, histogram):
        family.labels("a")
        family.labels("b")
    assert [family.moved() for family in (counter, gauge, histogram)] == ["", gauge.text(), ""]
    counter.labels("b").inc()
    histogram.labels("b").observe(0.0)
    assert {sample.labels["route"] for sample in read(counter.moved()).samples} == {"b"}
    assert read(histogram.moved()).samples == [s for s in read(histogram.text()).samples if s.labels["route"] == "b"]
