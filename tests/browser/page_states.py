"""The states of pages that are looked at: how each is reached, by whom, and words that it then has.

They follow each other: what one does, such as opening a case, later ones show.
"""

import re
from collections.abc import Callable
from urllib.parse import urlsplit

from playwright.sync_api import Page

from tests.helpers.accounts import PASSWORD
from tests.helpers.console_site import CALL
from tests.helpers.storage_home import ID

Visit = Callable[[Page], object]


def at(path: str) -> Visit:
    return lambda page: page.goto(path)


def sign_in_again(page: Page) -> None:
    page.goto("/sign-in")
    page.fill("#name", "nobody")
    page.fill("#password", "not the password")
    page.get_by_role("button", name="Sign in").click()


def search(field: str, value: str) -> Visit:
    def visit(page: Page) -> None:
        page.goto("/recordings")
        page.fill(f"[name={field}]", value)
        page.click("main form button >> nth=0")

    return visit


def forgot(page: Page) -> None:
    page.goto("/live")
    page.click(f"#forgot-{CALL}")


def listen(page: Page) -> None:
    page.goto(f"/recordings/{ID}")
    page.get_by_role("button", name="Listen").click()
    page.wait_for_selector("#player[data-is-ready]")  # a click before its scripts is nobody's


def marked(page: Page) -> None:
    listen(page)
    page.get_by_role("tab", name="Copy").click()
    page.get_by_role("button", name="Mark a part from here").click()


def refuse_case(page: Page) -> None:
    page.goto("/cases/new")
    page.get_by_role("button", name="Continue").click()


def count_case(page: Page) -> None:
    page.goto("/cases/new")
    page.get_by_label("Their own calls").check()
    page.fill("#requester", "Mrs Example")
    page.get_by_role("button", name="Continue").click()
    for part, typed in (("day", "1"), ("month", "nov"), ("year", "26")):
        page.fill(f"[name=from_date-{part}]", typed)
    page.get_by_role("button", name="Open the case").click()


OPENED: list[str] = []
"""Paths of the cases that were opened; the year is in them."""


def open_case(page: Page) -> None:
    count_case(page)
    page.get_by_role("button", name="Open the case").click()
    page.wait_for_url(re.compile("/cases/SAR-"))
    OPENED.append(urlsplit(page.url).path)


def in_case(page_of_it: str) -> Visit:
    """Go to a page of the last case that was opened."""
    return lambda page: page.goto(f"{OPENED[-1]}/{page_of_it}")


def write_claim(page: Page) -> None:
    page.goto(f"/rights/new?recording={ID}")
    page.get_by_label("No longer needed for what it was made for").check()
    page.get_by_label("Who is asking?").fill("Mrs Example")
    page.get_by_label("What do they say, in their words or yours?").fill("it was years ago")
    page.get_by_role("button", name="Record the request").click()


def ask_for_several(page: Page) -> None:
    page.goto("/recordings")
    page.get_by_label("Select Olive Officer").check()
    page.get_by_role("button", name="Ask to listen").click()


def hold(page: Page) -> None:
    page.goto(f"/holds/new?recording={ID}")
    page.get_by_label("Evidence of unacceptable behaviour").check()
    page.get_by_label("Why is it needed?").fill("threats against an officer")
    page.get_by_role("button", name="Place the hold").click()


def release(page: Page) -> None:
    hold(page)
    page.get_by_label("Reference of the case").fill("U 12")
    page.get_by_role("button", name="Place the hold").click()
    page.get_by_role("link", name="evidence of unacceptable behaviour U 12").click()
    page.get_by_role("button", name="Release the hold").click()


def assured_day(page: Page) -> None:
    page.goto("/assurance")
    page.locator("#days a").click()


def explain_nothing(page: Page) -> None:
    assured_day(page)
    page.locator("#found a >> nth=0").click()
    page.get_by_role("button", name="Save the explanation").click()


def use_notice(page: Page) -> None:
    page.goto("/notices/first/2/use")
    page.get_by_label("From a day, at midnight").check()
    page.get_by_role("button", name="Bring into force").click()


def keys(page: Page) -> None:
    page.goto("/agent")
    page.locator("#agent-key summary").click()
    page.check("#agent-key-on")
    page.click("#agent-forgot")
    page.wait_for_selector("#agent-spans:not([hidden])")


def propose(page: Page) -> None:
    page.goto("/people")
    page.get_by_role("link", name="officer", exact=True).click()
    page.get_by_role("link", name="Give roles").click()
    page.get_by_label("Manager").check()
    page.get_by_label("Data protection officer").check()
    page.get_by_label("Why?").fill("she takes over on Monday")
    page.get_by_role("button", name="Give these roles").click()


def roles_wrong(page: Page) -> None:
    page.goto("/people/other/roles")
    page.get_by_role("button", name="Give these roles").click()


def proposal(page: Page) -> None:
    page.goto("/people")
    page.get_by_role("link", name="Give Olive Officer").click()


def authenticator(page: Page) -> None:
    page.goto("/account")
    page.fill("#password", PASSWORD)
    page.get_by_role("button", name="Set up an authenticator").click()


def wrong_code(page: Page) -> None:
    authenticator(page)
    page.fill("#code", "000000")
    page.get_by_role("button", name="Set up and sign in").click()


STATES: list[tuple[str, str, Visit, str]] = [
    ("sign_in", "ann", at("/sign-in"), "Account name"),
    ("sign_in_wrong", "ann", sign_in_again, "There is a problem"),
    ("accessibility", "ann", at("/accessibility"), "How accessible these pages are"),
    ("agent", "ann", at("/agent"), "Pause recording"),
    ("agent_no_extension", "plain", at("/agent"), "You are not at an extension"),
    ("agent_forgot", "ann", keys, "How much should be erased?"),
    ("live", "manager", at("/live"), "Resume the recording"),
    ("opt_out", "manager", at(f"/live/{CALL}/opt-out"), "Confirm both statements"),
    ("forgot", "ann", forgot, "State of the recording of <b>Ann</b>: paused."),
    ("recordings", "dpo", at("/recordings"), "1 call found, 1 recording"),
    ("recordings_none", "dpo", search("operator", "Nobody"), "0 calls found, 0 recordings"),
    ("recordings_wrong", "dpo", search("from_date-day", "31"), "The date must include a month and a year"),
    ("recording", "dpo", at(f"/recordings/{ID}"), "Parts of the call"),
    ("recording_listening", "dpo", listen, "You can listen for up to 30 minutes"),
    ("recording_copy", "dpo", marked, "Part 1 to silence"),
    ("recording_officer", "plain", at(f"/recordings/{ID}"), "Ask to listen"),
    ("recording_ask", "dpo", at(f"/recordings/{ID}/request"), "Why do you need it?"),
    ("recording_forgot", "dpo", at(f"/recordings/{ID}/forgot"), "You cannot get an erased part back"),
    ("recording_hold", "dpo", at(f"/recordings/{ID}/hold"), "What is it kept for?"),
    ("requests", "dpo", at("/requests"), "Your requests"),
    ("request_new", "dpo", ask_for_several, "What do you need the recordings for?"),
    ("absence", "dpo", at("/absence"), "While every team leader is absent"),
    ("cases", "dpo", at("/cases"), "There are no open cases"),
    ("case_refused", "dpo", refuse_case, "Enter the name of the person"),
    ("case_wide", "dpo", count_case, "1 recording fits this search"),
    ("case", "dpo", open_case, "The case is open."),
    ("cases_some", "dpo", at("/cases"), "Mrs Example"),
    ("case_identity", "dpo", in_case("identity"), "I confirmed who they are"),
    ("case_recordings", "dpo", in_case("recordings"), "1 recording to decide on"),
    ("case_narrow", "dpo", in_case("narrow"), "Up to what time?"),
    ("case_history", "dpo", in_case("history"), "Case opened"),
    ("case_letter", "dpo", in_case("letter/acknowledgement"), "Dear Mrs Example"),
    ("custody", "dpo", in_case("custody"), "Proven."),
    ("rights", "dpo", write_claim, "Record that it was withdrawn"),
    ("notifications", "dpo", at("/notifications"), "Nothing is waiting for you"),
    ("erasures", "dpo", at("/erasures"), "No erasures are waiting"),
    ("hold_wrong", "dpo", hold, "Enter the reference of the case"),
    ("hold_release", "dpo", release, "Why is it no longer needed?"),
    ("holds", "dpo", at("/holds"), "Evidence of unacceptable behaviour"),
    ("overview", "dpo", at("/overview"), "Waiting for you"),
    ("health", "dpo", at("/health"), "needs somebody to act"),
    ("notices", "dpo", at("/notices"), "In use"),
    ("notice", "dpo", at("/notices/first/2"), "Give up this date"),
    ("notice_use", "dpo", use_notice, "Enter the day from which callers hear this version"),
    ("changes", "dpo", at("/changes"), "pause.max_s"),
    ("account_changed", "admin", propose, "is waiting for another administrator"),
    ("account_roles_wrong", "admin", roles_wrong, "Select a role"),
    ("accounts", "dpo", at("/people"), "Waiting for a second person"),
    ("proposal", "dpo", proposal, "she takes over on Monday"),
    ("deputy", "dpo", at("/deputy"), "Change the deputy"),
    ("account", "dpo", at("/account"), "Sign out everywhere"),
    ("password", "dpo", at("/account/password"), "have 12 to 256 characters"),
    ("authenticator", "dpo", authenticator, "Code that the app shows now"),
    ("authenticator_wrong", "dpo", wrong_code, "The code is wrong"),
    ("pauses", "dpo", at("/reports/pauses"), "Olive Officer"),
    ("assurance", "dpo", at("/assurance"), "3 to explain"),
    ("assurance_day", "dpo", assured_day, "Went round the recorder"),
    ("assurance_wrong", "dpo", explain_nothing, "Enter a reason"),
    ("audit", "dpo", at("/audit"), "people.sign_in"),
    ("error", "dpo", at("/recordings/none"), "There is no such recording"),
]


SHOWN_BY_OTHERS = {
    "agent": "agent_forgot",
    "recordings_none": "recordings and recordings_wrong",
    "recording_listening": "recording and recording_copy",
    "cases": "cases_some",
    "authenticator": "authenticator_wrong",
}
"""States only for `make test-all`, with the states that show the same page with more on it than "none were found"."""
