"""Writes losses.json and world.json again, from the repository root: `python tests/golden/regenerate.py`.

Only after a change that was meant to alter them: look at `git diff tests/golden` before committing,
and say in the commit why the numbers moved. The packages have to be those of constraints.txt.
What other people's metric programs returned is not written here but by official.py.
"""

import json
import sys
from pathlib import Path

HERE = Path(__file__).parent
LOSSES, WORLD = HERE / "losses.json", HERE / "world.json"


def losses_text(losses: dict[str, list[float]]) -> str:
    """One case a line."""
    lines = [f" {json.dumps(case)}: {json.dumps(values)}" for case, values in losses.items()]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def main() -> None:
    sys.path.insert(0, str(HERE.parent))
    import golden_losses
    import golden_world

    LOSSES.write_text(losses_text(dict(golden_losses.all_losses())), encoding="utf-8")
    world = json.dumps(golden_world.digests(), indent=1, ensure_ascii=False)
    WORLD.write_text(world + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
