"""Copies that are written into one folder at the same time leave one another alone."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from storage.new_file import write_new

WRITERS, FILES = 8, 60


def test_many_writers_share_a_folder(tmp_path: Path) -> None:
    def write(writer: int) -> None:
        for number in range(FILES):
            write_new(tmp_path / f"{writer}-{number}.wav", [f"{writer}".encode() * 64])

    with ThreadPoolExecutor(WRITERS) as pool:
        for done in [pool.submit(write, writer) for writer in range(WRITERS)]:
            done.result()
    found = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert found == {f"{w}-{n}.wav": f"{w}".encode() * 64 for w in range(WRITERS) for n in range(FILES)}
