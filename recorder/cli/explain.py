"""`recorder explain`: what the reason of an outcome means, and what to do about it."""

import re
import sys
from typing import Annotated

import typer

from recorder.cli import completion
from recorder.cli.options import JsonOption
from recorder.cli.output import fail_unknown, print_json
from recorder.rules import wording
from recorder.rules.words.reasons import EXPLAINED, explained

_LINK = re.compile(r"\[([^]]*)\]\(([^)#]*)[^)]*\)")


def explain(
    reason: Annotated[
        str,
        typer.Argument(
            metavar="REASON", help="Of a call, as JSON has it, such as no_audio.", autocompletion=completion.reasons
        ),
    ],
    json: JsonOption = False,
) -> None:
    """Explain the reason of an outcome: what it means, and what to do."""
    found = explained(reason)
    if found is None:
        fail_unknown(reason, EXPLAINED, what="a reason of an outcome")
    means, to_do = (_LINK.sub(r"\1: docs/\2", text) for text in (found.means, found.to_do))
    outcomes = [str(one) for one in found.outcomes]
    if json:
        print_json({
            "reason": reason, "words": wording.outcome_reason(reason), "outcomes": outcomes, "means": means,
            "to_do": to_do,
        })  # fmt: skip
        return
    words = f"{reason}: {wording.outcome_reason(reason)}; outcome {' or '.join(outcomes)}"
    sys.stdout.write(f"{words}\n{means}\nWhat to do: {to_do}\n")
