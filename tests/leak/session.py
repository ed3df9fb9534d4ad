"""One recording session (SIPREC) of the leak suite: both parties' audio comes as a copy, and the act is a system's."""

import time

from tests.helpers.siprec_client import HOSTS, REQUIRE, Client, Line, Session, ports
from tests.helpers.siprec_shapes import Call as Conversation
from tests.helpers.siprec_shapes import Who
from tests.leak.ring import Ring

FIRST_S = 0.3
"""For how long a stray sender is alone before the client sends: it is recorded, and taken back."""


class SessionRing(Ring):
    """A session whose client sends each voice on a line of its own."""

    _client: Client | None = None
    _session: Session | None = None

    def _begin(self) -> None:
        plan = self.plan
        self._client = Client(self.site.home, self.studio, HOSTS["sbc"])  # type: ignore[arg-type]  # it makes no voices
        lines = [Line(voice, label) for voice, label in zip(self.voices, "12", strict=True)]  # type: ignore[arg-type]
        people = (
            Who(user=plan.caller, name="Ann Caller", label="1"),
            Who(user=self.extension, name="Bob Officer", label="2"),
        )
        conversation = Conversation(
            caller=people[0], officer=people[1], session=f"s{plan.number}", group=f"g{plan.number}",
            sip_session=f"x{plan.number}",
        )  # fmt: skip
        session = self._session = Session(client=self._client, lines=lines, call=conversation)
        content, content_type = session.body()
        answer = session.ask("INVITE", content, content_type, REQUIRE)
        if answer.status != 200:
            raise AssertionError(f"the session is answered {answer.status}")
        remotes = [("127.0.0.1", port) for port in ports(answer.body)]
        if plan.moment == "stray":
            for voice, remote in zip(self.voices, remotes, strict=True):
                self.bring_stray(voice, remote)
            time.sleep(FIRST_S)
        for voice, remote in zip(self.voices, remotes, strict=True):
            voice.talk(remote)
        self.joined_s = time.monotonic()
        found = self.site.wait_live(plan.caller, lambda call: call["state"] == "recording", "the session is recorded")
        self.id = str(found["id"])

    def _hang_up(self) -> None:
        if self._session is not None and self._session.answer is None and not self.is_cut:
            self._session.ask("BYE")
        if self._client is not None:
            self._client.socket.close()
