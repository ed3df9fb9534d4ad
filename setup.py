"""Builds the one compiled module and the program that it gives the kernel; everything else is in pyproject.toml."""

import os
import sysconfig
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

PROGRAM = "audio/core/bpf/relay.bpf.c"


class BuildAll(build_ext):
    """Builds the kernel's program beside the module that loads it."""

    def run(self) -> None:
        """Build both."""
        super().run()
        beside = Path(self.get_ext_fullpath("audio._relay")).parent
        multiarch = sysconfig.get_config_var("MULTIARCH") or "x86_64-linux-gnu"
        headers = ("/usr/include", f"/usr/include/{multiarch}")
        self.spawn(
            [
                "bpf-gcc",
                *("-mcpu=v3", "-O2", "-gbtf", "-Wall", "-Wextra"),
                *(part for folder in headers for part in ("-idirafter", folder)),
                *("-c", PROGRAM, "-o", str(beside / "relay.bpf.o")),
            ]
        )


core = sorted(str(path) for path in Path("audio/core").glob("*.c"))
debug = bool(os.environ.get("RECORDER_DEBUG_CORE"))
setup(
    cmdclass={"build_ext": BuildAll},
    ext_modules=cythonize(
        [
            Extension(
                "audio._relay",
                ["audio/_relay.pyx", *core],
                include_dirs=["audio/core"],
                depends=sorted(str(path) for path in Path("audio/core").rglob("*.h")),
                extra_compile_args=[
                    "-std=gnu11",
                    "-O2",
                    "-g",
                    "-Wall",
                    "-Wextra",
                    *(["-fsanitize=undefined"] if debug else []),
                ],
                libraries=["m", "pthread", "nettle", "bpf"],
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
    ),
)
