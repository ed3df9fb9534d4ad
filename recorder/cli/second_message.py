"""`recorder calls second-message`: plays the privacy information to a caller who asks for it."""

from typing import Any

from recorder.cli.context import LazyPersonContext
from recorder.cli.live import CallOption, ExtensionOption, ask, one_of, target_of
from recorder.cli.output import print_json, say
from recorder.cli.site import Calls


def second_message(context: LazyPersonContext, call: CallOption = None, extension: ExtensionOption = None) -> None:
    """Play the second message to a caller who asks for it during the call.

    Until it ends the caller hears the message instead of the officer; the officer still hears the caller. The recording
    continues, or stays paused, as it was.
    """
    one_of(call, extension)
    person = context.sign_in("to have the second message played")

    def play(client: Calls) -> dict[str, Any]:
        return client.second_message(target_of(client, call, extension), person=person)

    answer = ask(context.home, play)
    if context.json:
        print_json(answer.get("calls", answer))
        return
    for one in answer.get("calls", [answer]):
        say(f"{one['call']}: the caller hears the second message instead of the officer, until it ends")
