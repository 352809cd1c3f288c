"""A workbench for asking why InstructBLIP works: pipeline, trainer, ablations and reports."""

import os

# Waiting threads sleep instead of spinning. Two processes on two cores otherwise spend their time in
# OpenMP barriers: a training step beside another training took 9 s spinning and 0.5 s sleeping.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
