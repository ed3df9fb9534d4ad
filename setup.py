"""Builds the one compiled module; everything else is in pyproject.toml."""

import os
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

core = sorted(str(path) for path in Path("audio/core").glob("*.c"))
debug = bool(os.environ.get("RECORDER_DEBUG_CORE"))
setup(
    ext_modules=cythonize(
        [
            Extension(
                "audio._relay",
                ["audio/_relay.pyx", *core],
                include_dirs=["audio/core"],
                depends=sorted(str(path) for path in Path("audio/core").glob("*.h")),
                extra_compile_args=[
                    "-std=gnu11",
                    "-O2",
                    "-g",
                    "-Wall",
                    "-Wextra",
                    *(["-fsanitize=undefined"] if debug else []),
                ],
                libraries=["m", "pthread", "nettle"],
            )
        ],
        compiler_directives={
            "language_level": 3,
            "boundscheck": debug,
            "wraparound": False,
            "autotestdict": False,  # so that mypy.stubtest holds the .pyi true
            "embedsignature": False,
            "auto_pickle": False,
        },
    )
)
