import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.config import Train
from workbench.train.schedule import learning_rate

PAPER = Train(steps=60_000, warmup_steps=1000, warmup_start_rate=1e-8, learning_rate=1e-5)


def test_the_papers_schedule():
    assert learning_rate(0, PAPER) == 1e-8
    assert learning_rate(500, PAPER) == pytest.approx((1e-8 + 1e-5) / 2)
    assert learning_rate(1000, PAPER) == 1e-5
    assert learning_rate(1000 + 59_000 // 2, PAPER) == pytest.approx(0.5e-5)
    assert learning_rate(60_000, PAPER) == 0


@given(st.integers(1, 300), st.data())
@settings(deadline=None)
def test_it_rises_to_the_peak_and_falls_to_nothing(steps, data):
    warmup = data.draw(st.integers(0, steps))
    config = Train(steps=steps, warmup_steps=warmup)
    rates = [learning_rate(step, config) for step in range(steps + 1)]
    assert max(rates) == pytest.approx(config.learning_rate)
    assert rates[: warmup + 1] == sorted(rates[: warmup + 1])
    assert rates[warmup:] == sorted(rates[warmup:], reverse=True)
    assert all(rate > 0 for rate in rates[:-1])
    if warmup < steps:
        assert rates[-1] == pytest.approx(0, abs=1e-18)
