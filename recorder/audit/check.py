#!/usr/bin/env python3
"""Check an exported audit log. Needs Python 3.8 or newer and nothing else: no part of the recorder is used.

    python3 check.py [FILE ...]

Looks at entries.jsonl beside this script, at anchors.jsonl and texts.jsonl if they are there, and at every FILE: heads
that were noted elsewhere (syslog files, mails, files of an anchor folder). Exit code 0: everything fits; 1: it does
not, and the first thing that does not is named. README.txt says what is checked, so that you can do it by other means.
"""

import hashlib
import json
import sys
from pathlib import Path
from typing import Dict, Iterator, List, Optional, Tuple

HASH, AFTER_HASH = b',"hash":"', b'","n":'
ANCHOR = '{"anchor":"recorder-audit-head",'


def hash_of(line: bytes) -> str:
    """Return the hash that a line must state: SHA-256 of the line without its hash and its line feed."""
    at = line.rfind(HASH)
    end = at + len(HASH) + 64
    if at < 0 or not line.endswith(b"\n") or line[end : end + len(AFTER_HASH)] != AFTER_HASH:
        raise ValueError("it is not an entry, or it is cut")
    return hashlib.sha256(line[:at] + line[end + 1 : -1]).hexdigest()


def anchors_in(path: Path) -> Iterator[Tuple[int, str]]:
    """Yield number and hash of each head in a file."""
    decoder = json.JSONDecoder()
    with path.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            at = line.find(ANCHOR)
            if at >= 0:
                fields = decoder.raw_decode(line, at)[0]
                yield int(fields["n"]), str(fields["hash"])


def check_entries(path: Path, anchors: Dict[int, str]) -> Tuple[int, str, Dict[str, int]]:
    """Return how many entries there are, the hash of the last, and which text belongs to which; ValueError if not."""
    number, previous = 0, "0" * 64
    texts: Dict[str, int] = {}
    offset = 0
    with path.open("rb") as file:
        for line in file:
            where = f"entry {number + 1} (line {number + 1}, byte {offset})"
            try:
                expected = hash_of(line)
                entry = json.loads(line.decode("ascii"))
                stated = entry["hash"]
            except (ValueError, KeyError, TypeError) as error:
                raise ValueError(f"{where}: it is not an entry: {error}") from error
            if stated != expected:
                raise ValueError(f"{where}: its hash does not fit: it was changed")
            if entry["n"] != number + 1:
                raise ValueError(f"{where}: it has number {entry['n']}")
            if entry["prev"] != previous:
                raise ValueError(f"{where}: it does not follow from the entry before")
            number, previous, offset = number + 1, stated, offset + len(line)
            if anchors.pop(number, stated) != stated:
                raise ValueError(f"{where}: another entry was noted elsewhere: the log was written anew")
            if entry["text"] is not None:
                texts[entry["text"]] = number
    if anchors:
        raise ValueError(f"the log ends with entry {number}, but entry {max(anchors)} was noted elsewhere: it was cut")
    return number, previous, texts


def check_texts(path: Path, texts: Dict[str, int]) -> int:
    """Return how many free texts fit the entry that names them; ValueError if one does not."""
    count = 0
    with path.open(encoding="utf-8") as file:
        for count, line in enumerate(file, 1):
            fields = json.loads(line)
            digest = hashlib.sha256(bytes.fromhex(fields["salt"]) + fields["text"].encode()).hexdigest()
            if digest not in texts:
                raise ValueError(f"texts.jsonl, line {count} (entry {fields['n']}): it fits no entry")
    return count


def main(folder: Path, files: List[str]) -> int:
    """Check a package; return the exit code."""
    problem: Optional[str] = None
    try:
        anchors: Dict[int, str] = {}
        own = folder / "anchors.jsonl"
        for path in [own] * own.exists() + [Path(name) for name in files]:
            for number, digest in anchors_in(path):
                if anchors.setdefault(number, digest) != digest:
                    raise ValueError(f"{path.name}: entry {number} was noted twice, with two hashes")
        noted = len(anchors)
        entries, head, texts = check_entries(folder / "entries.jsonl", anchors)
        kept = folder / "texts.jsonl"
        count = check_texts(kept, texts) if kept.exists() else 0
    except (ValueError, KeyError, TypeError, OSError) as error:
        problem = str(error)
    if problem is not None:
        sys.stdout.write(f"NOT GOOD: {problem}\n")
        return 1
    sys.stdout.write(f"good: {entries} entries follow from one another, {noted} heads and {count} texts fit\n")
    sys.stdout.write(f"head: {entries}:{head}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(__file__).resolve().parent, sys.argv[1:]))
