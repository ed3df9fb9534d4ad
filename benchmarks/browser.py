"""A browser's worth of HTTP for benchmarks of the console: it signs in by the form, as people do."""

import re

import httpx2

from benchmarks.home import HomeError


def signed_in(web: tuple[str, int], name: str, password: str, *, timeout_s: float) -> httpx2.Client:
    """Return a client of a console without a second factor, signed in.

    Raises:
        HomeError: It was not let in.
    """
    client = httpx2.Client(base_url=f"http://{web[0]}:{web[1]}", timeout=timeout_s)
    csrf = csrf_of(client.get("/sign-in"))
    answer = client.post("/sign-in", data={"name": name, "password": password, "csrf": csrf})
    if answer.status_code != httpx2.codes.SEE_OTHER:
        raise HomeError(f"the console did not let {name} in: {answer.status_code}")
    return client


def csrf_of(page: httpx2.Response) -> str:
    """Return what the forms of a page carry against forgeries.

    Raises:
        HomeError: The page has no form.
    """
    found = re.search(r'name="csrf" value="([^"]+)"', page.text)
    if found is None:
        raise HomeError(f"{page.url.path} shows no form: {page.status_code}")
    return found[1]
