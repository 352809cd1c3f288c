"""Which training seeds a call of a driver asks for."""

from __future__ import annotations

from workbench.search.study import FIRST_SEED, StudyError, twice

DEVELOPMENT = 1  # the first of those that choices are made with


def seeds_of(text: str, development: bool = False) -> tuple[int, ...]:
    """The training seeds that ``--seeds`` asks for.

    Args:
        text: a number of seeds (``5``: 101 to 105, or 1 to 5 in development), or the seeds themselves
            with commas between them (``101,103``); ``101`` alone is that seed, not a hundred and one.

    Raises:
        StudyError: for no seed, one given twice, or a development seed in a reported study.
    """
    try:
        numbers = [int(part) for part in text.split(",") if part.strip()]
    except ValueError:
        raise StudyError(f"--seeds {text!r} is neither a number nor a list such as 101,102") from None
    if "," not in text and sum(numbers) < FIRST_SEED:
        first = DEVELOPMENT if development else FIRST_SEED
        numbers = list(range(first, first + sum(numbers)))
    if not numbers:
        raise StudyError(f"--seeds {text!r} asks for no seed; the grid would be empty")
    if double := twice(str(number) for number in numbers):
        raise StudyError(f"--seeds {text!r} has {double} twice; each seed is one run")
    below = [number for number in numbers if number < FIRST_SEED]
    if below and not development:
        raise StudyError(
            f"seed {below[0]} is a development seed (below {FIRST_SEED}), which choices were made with; "
            f"take {FIRST_SEED} and up, or add --development, whose results no report shows"
        )
    return tuple(numbers)
