"""A workbench for asking why InstructBLIP works: pipeline, trainer, ablations and reports."""

import os

# Waiting threads sleep instead of spinning. Two processes on two cores otherwise spend their time in
# OpenMP barriers: a training step beside another training took 9 s spinning and 0.5 s sleeping.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# Also where env.sh was not read: nothing is told to anybody.
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
