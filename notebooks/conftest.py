"""Strict comparison of notebooks: what their kernels inherit, and how long a cell may be silent."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # notebooks run side by side
# Bars and warnings are for people; in a comparison they are noise. Kernels inherit this environment.
os.environ["TQDM_DISABLE"] = "1"
os.environ["TRANSFORMERS_VERBOSITY"] = os.environ["DIFFUSERS_VERBOSITY"] = "error"


def pytest_collection_modifyitems(items):
    for item in items:
        if hasattr(item, "output_timeout"):  # nbval's own 5 s are shorter than a first import
            item.output_timeout = 60
