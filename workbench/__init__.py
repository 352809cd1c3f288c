"""A workbench for asking why InstructBLIP works: pipeline, trainer, ablations and reports."""
