"""Builds what the benchmarks need in C, once: the load generator in place, the bare loops in ``build/``."""

import fcntl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).parent
_FLAGS = ["-std=gnu11", "-O2", "-g", "-Wall", "-Wextra"]


@contextmanager
def _alone() -> Iterator[None]:
    """Let one process build at a time: what another one has half built must not be loaded."""
    lock = HERE.parent / "build/benchmarks/lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _is_outdated(product: Path, sources: list[Path]) -> bool:
    return not product.exists() or product.stat().st_mtime < max(source.stat().st_mtime for source in sources)


def build_load() -> None:
    """Build ``benchmarks._load`` in place when it is missing or older than its sources; about 10 s the first time."""
    from Cython.Build import cythonize  # noqa: PLC0415 - only a build needs a compiler's modules
    from setuptools import Distribution, Extension  # noqa: PLC0415
    from setuptools.command.build_ext import build_ext  # noqa: PLC0415

    extension = Extension(
        "benchmarks._load",
        ["benchmarks/_load.pyx", "benchmarks/core/load.c"],
        include_dirs=["benchmarks/core"],
        extra_compile_args=_FLAGS,
        libraries=["pthread"],
    )
    modules = cythonize(  # type: ignore[no-untyped-call]
        [extension], compiler_directives={"language_level": 3}, quiet=True
    )
    command = build_ext(Distribution({"name": "benchmarks", "ext_modules": modules}))
    command.inplace = True
    command.build_temp = "build/benchmarks"
    command.ensure_finalized()
    command.run()


def ensure_load() -> None:
    """Have the load generator ready for import.

    Raises:
        subprocess.CalledProcessError: It does not build; the compiler's words are on stderr.
    """
    sources = [HERE / "_load.pyx", HERE / "core/load.c", HERE / "core/load.h"]
    # In a process of its own: a build changes folders, flags and logging of the process it runs in.
    code = "from benchmarks.build import build_load; build_load()"
    with _alone():
        products = list(HERE.glob(f"_load.{sys.implementation.cache_tag}*.so"))
        if not products or _is_outdated(products[0], sources):
            subprocess.run([sys.executable, "-c", code], cwd=HERE.parent, check=True, stdout=sys.stderr)


_BARE = {"bare_loop": [], "bare_ring": ["-luring"]}
"""The bare loops, by epoll and by io_uring, and the libraries of each."""


def ensure_bare(name: str) -> Path:
    """Compile a bare loop with ``cc`` when it is missing or outdated, and return the program.

    Args:
        name: ``bare_loop`` or ``bare_ring``.

    Raises:
        subprocess.CalledProcessError: It does not build; the compiler's words are on stderr.
    """
    source = HERE / f"core/{name}.c"
    program = HERE.parent / "build/benchmarks" / name
    with _alone():
        if _is_outdated(program, [source, HERE / "core/bare.h"]):
            subprocess.run(["cc", *_FLAGS, "-o", str(program), str(source), *_BARE[name]], check=True)
    return program
