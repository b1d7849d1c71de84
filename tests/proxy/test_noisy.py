"""What is taken for noise is counted by route and field, and the fields that have names there are bounded."""

from __future__ import annotations

from proxy.metrics import OTHERS, Metrics
from proxy.shadowing import NAMED, Noisy
from shadow.noise import Field


def counts(metrics: Metrics) -> dict[str, float]:
    """By field, of all routes."""
    told = [line for line in metrics.exposition().decode().splitlines() if line.startswith("strangler_shadow_noise")]
    return {line.split('field="')[1].split('"')[0]: float(line.rsplit(" ", 1)[1]) for line in told}


def test_noise_is_counted_by_field_and_is_0_before_there_is_any() -> None:
    metrics = Metrics(["read"])
    assert counts(metrics) == {OTHERS: 0.0}
    noisy = Noisy(metrics)
    for field in (Field("data[*].at", "value"), Field("data[*].at", "value"), Field("", "status")):
        noisy.found("read", field)
    assert counts(metrics) == {OTHERS: 0.0, "data[*].at: value": 2.0, "(whole): status": 1.0}


def test_as_many_fields_of_a_route_have_names_as_people_look_at() -> None:
    metrics = Metrics(["read"])
    noisy = Noisy(metrics)
    for number in (*range(NAMED + 5), 0):
        noisy.found("read", Field(f"trace.{number}", "extra"))
    told = counts(metrics)
    assert (len(told), told[OTHERS], told["trace.0: extra"]) == (NAMED + 1, 5.0, 2.0)


def test_what_looks_like_a_secret_is_no_name() -> None:
    metrics = Metrics(["read"])
    noisy = Noisy(metrics)
    noisy.found("read", Field('by["ada@example.org"]', "missing"))
    noisy.found("read", Field("tokens.pX27zsMN2ViQKta1bGfLmVJE.at", "value"))
    assert "ada" not in str(counts(metrics))
    assert "pX27" not in str(counts(metrics))
