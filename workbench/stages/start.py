"""`workbench start`: model.start made of what model.checkpoint names, with an account of every weight."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from workbench import files
from workbench.config import Config
from workbench.experiment.record import START
from workbench.model.checkpoint import BLIPS, assemble
from workbench.model.folder import ModelError
from workbench.model.sources import read
from workbench.stages.guard import stage

SHIPPED = "backbones/micro"


def work(config: Config, root: Path) -> None:
    """Makes the start and says what it is made of; start.json beside it has every name."""
    model = config.model
    if not model.checkpoint:
        raise ModelError(
            "model.checkpoint is empty; list there what the start is made of, see model/README.md"
        )
    target = root / model.start
    if target.resolve() == (root / SHIPPED).resolve():
        raise ModelError(f"model.start is {SHIPPED}, which comes with the repository; name another folder")
    before = _commits(target / START)
    parts = [read(name, root, model.allow_pickle, before.get(name, "")) for name in model.checkpoint]
    account = assemble(parts, model.num_query_tokens, target)
    files.write_json(target / START, {"checkpoint": list(model.checkpoint), **account})
    for source in account["sources"]:
        pin = f", commit {source['revision']}" if source["revision"] else ""
        if before.get(source["source"]):
            pin += f", as before; delete {target / START} for the newest"
        kept, lost = len(source["loaded"]), len(source["replaced"])
        print(f"{source['source']} ({source['kind']}{pin}): {kept} weights loaded, {lost} replaced later")
    for what in ("drawn", "unexpected", "spare"):
        names = account[what]
        if names:
            print(f"{what}: {len(names)} ({', '.join(names[:3])}{', ...' if len(names) > 3 else ''})")
    if untaught := _untaught(account):
        print(
            f"warning: the Q-Former's text path is that of {untaught}, which has seen no picture; a stage-1 "
            "file (LAVIS blip2_pretrained.pth, Salesforce/blip2-itm-*) has one that was trained with the rest"
        )
    print(f"{target / ('blip2-' + account['family'])}: made; {target / START} lists every weight")


def _untaught(account: dict[str, Any]) -> str:
    """The BERT that fills in for the text path which a BLIP-2 lacks; nothing where none does."""
    kinds = {source["source"]: source["kind"] for source in account["sources"]}
    berts = [name for name in account["text_path"] if kinds[name] == "bert"]
    return ", ".join(berts) if any(kind in BLIPS for kind in kinds.values()) else ""


def _commits(note: Path) -> dict[str, str]:
    """Source -> the commit that an earlier call read it at: who makes a start again gets the same one."""
    sources = files.read_json(note)["sources"] if note.is_file() else []
    return {source["source"]: source["revision"] for source in sources if source["revision"]}


if __name__ == "__main__":
    stage(work)
