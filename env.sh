# The environment of every command here. `make` includes it; by hand, from the repository root:
#   source .venv/bin/activate && source env.sh
# Only lines that both a shell and make read alike: export NAME=value.
export DVC_NO_ANALYTICS=true
# DVC keeps pickles there, by default in a folder that everybody can write to (CVE-2025-69872)
export DVC_SITE_CACHE_DIR=${PWD}/.dvc/site
export DO_NOT_TRACK=true
export MLFLOW_DISABLE_TELEMETRY=true
export HF_HUB_OFFLINE=1
export HF_HUB_DISABLE_TELEMETRY=1
export TOKENIZERS_PARALLELISM=false
# One thread a process: the micro suite's operations are too small to gain from a second (seen on a shared
# machine, .35 to .5 s a tuning step with one against .5 to .6 s with two; not a paired measurement).
# Unset it for larger models.
export OMP_NUM_THREADS=1
# oneDNN keeps a compiled kernel for every shape it has met, and batches differ in length: by default a
# tuning process in bf16 held 1.4 to 1.7 GiB after 60 steps and went on growing, with 64 kernels 1.1 GiB.
export ONEDNN_PRIMITIVE_CACHE_CAPACITY=64
