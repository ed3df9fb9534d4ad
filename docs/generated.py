"""Puts what is generated from the code between two marks of a page; used by the programs `docs.make_...`."""


def between(page: str, begin: str, part: str, end: str) -> str:
    """Return a page with the part between two marks replaced.

    Args:
        page: The page.
        begin: The first mark, a line with its end.
        part: What stands between the marks from now on.
        end: The second mark, likewise.
    """
    before, _, rest = page.partition(begin)
    return f"{before}{begin}\n{part}\n{end}{rest.partition(end)[2]}"
