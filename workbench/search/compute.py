"""Arms with the same compute: how many training steps each one gets for the baseline's operations.

    experiments/<study>/flops.json    floating-point operations of one training step, by arm

The file is in git beside study.py, because steps are part of what a study declares; `workbench flops STUDY`
counts it again. Matching steps instead would favour whatever costs more per step.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from workbench import files
from workbench.config import Config, ConfigError

if TYPE_CHECKING:
    from workbench.search.study import Arm

FLOPS = "flops.json"


def setting(base: Config) -> dict[str, object]:
    """What the operations of a step depend on, besides an arm's own changes."""
    whole = base.to_dict()
    for younger in ("answer_vocabulary", "allow_missing"):  # than what was counted, and of no effect on it
        del whole["data"][younger]
    if not base.data.training_crop:  # younger as well
        del whole["data"]["training_crop"]
    digests = {part: files.digest(whole[part]) for part in ("data", "model")}
    return {"suite": base.suite, "train.batch_size": base.train.batch_size, **digests}


def marks(arms: Sequence[Arm]) -> dict[str, str]:
    """Arm -> a digest of its row and of its changes, but for those that concern examinations alone."""
    changes = {
        arm.name: {field: v for field, v in arm.changes.items() if not field.startswith("evaluate.")}
        for arm in arms
    }
    return {arm.name: files.digest({"row": arm.row, "changes": changes[arm.name]}) for arm in arms}


def write(folder: Path, base: Config, arms: Sequence[Arm], step_flops: Mapping[str, float]) -> Path:
    """Keeps what was counted."""
    counted = {arm: round(n) for arm, n in step_flops.items()}
    files.write_json(
        folder / FLOPS, {"setting": setting(base), "arms": marks(arms), "step_flops": counted}
    )
    return folder / FLOPS


def steps(folder: Path, arms: Sequence[Arm], baseline: str, base: Config) -> dict[str, int]:
    """Arm -> train.steps that take the operations of params.yaml's steps of the baseline.

    Raises:
        ConfigError: when nothing was counted, or other arms, other changes, or for other parameters.
    """
    wanted = marks(arms)
    path, remedy = folder / FLOPS, f"run `workbench flops {folder.name}`"
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        flops, counted, marked = dict(raw["step_flops"]), raw["setting"], dict(raw["arms"])
        usable = all(flops[arm] > 0 for arm in flops)
    except FileNotFoundError:
        raise ConfigError(f"{path} does not exist; {remedy}") from None
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{path} cannot be read ({error!r}); {remedy}") from error
    if not usable or set(flops) != set(wanted):
        odd = ", ".join(sorted(set(flops) ^ set(wanted))) or "one without operations"
        raise ConfigError(f"{path} was counted for other arms ({odd}); {remedy}")
    if changed := [arm for arm in wanted if marked.get(arm) != wanted[arm]]:
        raise ConfigError(f"{path} was counted with another row or other changes of {changed[0]}; {remedy}")
    if counted != setting(base):
        raise ConfigError(f"{path} was counted with {counted}, but params.yaml has {setting(base)}; {remedy}")
    budget = base.train.steps * flops[baseline]
    return {arm: max(1, round(budget / flops[arm])) for arm in wanted}
