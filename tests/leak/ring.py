"""One call of the leak suite, from its INVITE to its hang-up, on a thread of its own."""

import random
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from tests.helpers.exchange import user_of
from tests.helpers.recorder_home import HANGS_S
from tests.helpers.sip_peer import Answer, Call, Caller, Message, Officer, State
from tests.leak.media import EVENT_PT, TICKS, Band, Studio, Voice
from tests.leak.moments import DISTORTIONS
from tests.leak.plan import OPT_OUTS, Plan
from tests.leak.signals import PCMA, PCMU, Bytes
from tests.leak.site import RefusedError, Site, deputy, extension
from tests.leak.triggers import DTMF, RELAY, RESUMES, TRIGGERS, Act, send_info

FRINGE_S = 0.1
"""Between the acknowledgement of a resume and speech that must be kept."""
DIGIT_S = 0.18
"""What is silenced either side of a digit is 200 ms; a packet's length of it is left to where packets begin."""
INFO_BEFORE_S, INFO_AFTER_S = 0.55, 0.35
LOOK_S = 1.0
"""How often somebody who waits for the recorder looks whether it was killed."""
STRAY_S = 30
STRAYS_FROM = 50_000_000
"""Seeds of strays: no party has one of them."""


class Lines:
    """Both sides' telephones: one caller and one officer for every recorder of a run.

    Args:
        caller: The caller's address, without its port.
        officer: The officer's.
    """

    def __init__(self, caller: str = "127.0.0.1", officer: str = "127.0.0.1") -> None:
        self._plans: dict[str, Answer] = {}
        self.officer = Officer((officer, 0), answer=self._answer)
        self.caller = Caller((caller, 0))

    @property
    def next_hop(self) -> str:
        """Where recorders are to place calls to."""
        return "{}:{}".format(*self.officer.address)

    def expect(self, number: str, answer: Answer) -> None:
        """Be ready for a call."""
        self._plans[number] = answer

    def _answer(self, invite: Message) -> Answer:
        return self._plans.get(user_of(invite), Answer(status=404))

    def second(self, number: str, other_than: Call | None = None) -> Call | None:
        """Return the leg of a call at the officer's, or another one."""
        legs = (c for c in self.officer.incoming() if c is not other_than)
        return next((c for c in legs if user_of(c.invite) == number), None)

    def close(self) -> None:
        """Hang up everything."""
        self.officer.close()
        self.caller.close()


class Ring:
    """One call.

    Attributes:
        id: The recording that acts are asked of.
        passages: How often it passes the recorder: so many recordings of it there are.
        joined_s: When the two sides were.
        ended_s: When it was hung up; what is said while that goes on may be kept.
        closed: When nothing might be kept any more, or None before.
        opened: When recording went on, or None.
        windows: Spans, seconds, around digits of INFO that stop nothing, in which nothing that was said may be kept.
        error: What went wrong with the call itself.
    """

    passages = 1

    def __init__(
        self, site: Site, lines: Lines, studio: Studio, plan: Plan, symbols: tuple[Bytes, Bytes], slot: int
    ) -> None:
        self.site, self.lines, self.studio, self.plan = site, lines, studio, plan
        self.rng = random.Random(plan.seed + ":ring")
        self.trigger = TRIGGERS.get(plan.trigger)
        service = self.trigger.service if self.trigger else "Desk"
        if plan.moment == "held":
            service = "Quiet"  # two reasons at once: the hold's end must not take the other one away
        self.extension = extension(service, slot)
        self._deputy = deputy(service, slot)
        self.left, self.right = (
            Voice(studio, 2 * plan.number + side, symbols[side], law=plan.laws[side], ptime_ms=plan.ptime_ms,
                  seed=plan.number * 8 + side * 4)
            for side in (0, 1)
        )  # fmt: skip
        self.voices = (self.left, self.right)
        self.id = ""
        self.first: Call
        self.second: Call
        self.joined_s = 0.0
        self.ended_s = float("inf")
        self.closed: Act | None = None
        self.opened: Act | None = None
        self.windows: list[tuple[float, float]] = []
        self.error: str | None = None
        self.was_overtaken = False
        """The sides were joined before the act that was to come first was known to be done."""
        self.is_cut = False
        """The daemon was killed meanwhile: errors are to be expected."""
        self._version = 1
        self.strays: list[Voice] = []
        """Those who send to the call's ports and are none of its parties."""
        self._symbols = symbols

    def run(self) -> None:
        """Make the call; what goes wrong with it is in ``error``."""
        try:
            self._begin()
            self._talk()
        except Exception as error:  # noqa: BLE001 - one call's failure is reported with the call
            self.error = f"{type(error).__name__}: {error}"
        finally:
            self._end()

    # --- before

    def _begin(self) -> None:
        plan = self.plan
        self.lines.expect(plan.caller, Answer(after_s=0.05, media=self.right.media()))
        self.first = self.lines.caller.invite(
            self.site.entrance, self.extension, from_number=plan.caller, media=self.left.media()
        )
        self.wait_confirmed(self.first)
        self.left.is_heard = lambda: listens(self.first)
        is_early = plan.moment == "early"
        if is_early:
            self.id = str(self.site.wait_live(plan.caller, lambda c: True, "the call is listed")["id"])
            self.say(0.0, Band.SECRET)
        if plan.moment == "stray":
            self.bring_stray(self.left, self.first.remote_media)
        self.left.talk(self.first.remote_media)
        if is_early:
            self._close()
            second = self.lines.second(plan.caller)
            self.was_overtaken = second is not None and second.state is State.CONFIRMED
        self._join()
        self.site.wait_live(plan.caller, lambda c: c["phase"] == "joined", "both sides are joined")

    def _join(self) -> None:
        self.second = second = self._rung()
        self.wait_confirmed(second)
        self.joined_s = time.monotonic()
        self.right.is_heard = lambda: listens(second)
        if self.plan.moment == "stray":
            self.bring_stray(self.right, second.remote_media)
        self.right.talk(second.remote_media)
        self.id = str(self.site.wait_live(self.plan.caller, lambda c: True, "the call is listed")["id"])

    def bring_stray(self, voice: Voice, remote: tuple[str, int] | None) -> None:
        """Have somebody else send ordinary audio to where a party sends; nothing of it may be kept."""
        seed = STRAYS_FROM + voice.number * 4
        stray = Voice(
            self.studio, voice.number, self._symbols[0], law=voice.law, ptime_ms=self.plan.ptime_ms, seed=seed
        )
        stray.ends_tick = STRAY_S * TICKS
        stray.talk(remote)
        self.strays.append(stray)

    def _rung(self, *, other_than: Call | None = None) -> Call:
        deadline = time.monotonic() + HANGS_S
        while (second := self.lines.second(self.plan.caller, other_than)) is None:
            if self.is_cut or time.monotonic() > deadline:
                raise TimeoutError("the officer is not rung")
            time.sleep(0.02)
        return second

    # --- the conversation

    def say(self, moment_s: float, band: Band) -> None:
        """Have both say something else from a moment on."""
        for voice in self.voices:
            voice.say_from(moment_s, band)

    def _talk(self) -> None:
        plan = self.plan
        trigger = self.trigger
        if plan.moment != "early":
            start_s = time.monotonic() + plan.before_s
            lead_s, erase_s, slack_s = (trigger.lead_s, trigger.erase_s, trigger.slack_s) if trigger else (0, 0, 0)
            acted = round((erase_s - slack_s) * 1000 / plan.ptime_ms) if erase_s else 4
            self._distort(max(acted, 4))
            if trigger is None:
                self._key_digits(start_s)
                return
            secret_s = start_s + lead_s - erase_s
            self.say(secret_s, Band.FRINGE)
            self.say(secret_s + slack_s, Band.SECRET)
            _sleep_to(start_s)
            self._close()
        self._meanwhile()
        self._intrude()
        time.sleep(plan.closed_s)
        if plan.moment == "hang_up" or plan.trigger in OPT_OUTS:
            self._release()
            return
        self._resume()
        time.sleep(plan.after_s)

    def _distort(self, acted: int) -> None:
        make = DISTORTIONS.get(self.plan.moment)
        if make is not None:
            for side in self.plan.sides:
                distortion = make(random.Random(f"{self.plan.seed}:{side}"), acted)
                self.voices[side].distortion = distortion

    def _close(self) -> None:
        assert self.trigger is not None
        self.closed = self.trigger.do(self)

    def _meanwhile(self) -> None:
        if self.plan.moment == "re_invite":
            other = PCMA if self.left.law == PCMU else PCMU
            name = "PCMA/8000" if other == PCMA else "PCMU/8000"
            held = {"direction": "sendonly"} if self.plan.trigger == "hold" else {}  # else it would end the hold
            self.re_offer(formats=((other, name), (EVENT_PT, "telephone-event/8000")), **held)
            self.left.law = other
        elif self.plan.moment == "held":
            self.re_offer(direction="sendonly")
            time.sleep(0.3)
            self.re_offer(direction="sendrecv")
        elif self.plan.moment == "transferred":
            self._transfer()

    def _transfer(self) -> None:
        """Have the officer hand the call to a colleague, at whose new port a stray sender is first."""
        former, self.extension = self.second, self._deputy
        former.request("REFER", headers=(("Refer-To", f"<sip:{self.extension}@pbx.invalid>"),))
        second = self._rung(other_than=former)
        self.wait_confirmed(second)
        self.right.is_heard = lambda: listens(second)
        self.bring_stray(self.right, second.remote_media)
        self.right.talk(second.remote_media)
        self.second = second
        self.wait(former, has_ended)

    def _intrude(self) -> None:
        """Try to have recording go on as somebody who may not: what they achieve is for the secrets to show."""
        if self.plan.intruder == "caller_keys":
            self.left.press("*2")
        elif self.plan.intruder == "caller_info":
            for key in "*2":
                send_info(self.first, key, RELAY)
                time.sleep(0.05)
        elif self.plan.intruder == "token":
            try:
                self.site.by_token(f"/api/calls/{self.id}/resume")
            except RefusedError:
                return

    def _resume(self) -> None:
        do, lead_s = RESUMES[self.plan.resume]
        self.say(time.monotonic() + max(lead_s - 0.04, 0.0), Band.FRINGE)
        self.opened = do(self)
        self._release()
        self.say(time.monotonic() + FRINGE_S, Band.ORDINARY)

    def _release(self) -> None:
        for voice in self.voices:
            for delay_s, data in voice.distortion.release():
                self.studio.later(delay_s, voice, data)

    # --- digits that stop nothing

    def _key_digits(self, start_s: float) -> None:
        is_info = self.plan.trigger in ("digits_relay", "digits_info")
        before_s, after_s = (0.35, 0.15) if is_info else (0.16, 0.16)
        for digit in self.plan.digits:
            self.say(start_s - before_s - 0.2, Band.FRINGE)
            self.say(start_s - before_s, Band.SECRET)
            _sleep_to(start_s)
            end_s = self._key(digit) + after_s
            self.say(end_s, Band.FRINGE)
            self.say(end_s + 0.5, Band.ORDINARY)
            start_s = end_s + 0.5 + self.rng.uniform(0.4, 0.8)
        self._meanwhile()
        _sleep_to(start_s - 0.4)
        self._release()
        time.sleep(self.plan.after_s if self.plan.moment != "hang_up" else 0.02)

    def digit_spans(self) -> list[tuple[float, float]]:
        """Return the spans, seconds, around digits that stop nothing, in which nothing that was said may be kept.

        A key of the media is where the voice's clock says, however late it was sent.
        """
        voice = self.left
        if not voice.frames:  # it never came to a conversation
            return self.windows
        base_s = voice.base_s()
        media = [
            (base_s + start / TICKS - DIGIT_S, base_s + (end - voice.frame_ticks) / TICKS + DIGIT_S)
            for start, end in voice.keyed
        ]
        return media + self.windows

    def _key(self, digit: str) -> float:
        """Key a digit; return when it was over."""
        carrier = self.plan.trigger.removeprefix("digits_")
        if carrier in ("relay", "info"):
            asked_s = time.monotonic()
            send_info(self.first, digit, RELAY if carrier == "relay" else DTMF)
            self.wait(self.first, lambda call: len(call.replies_to("INFO")) > self.left.pressed)
            self.left.pressed += 1
            # It is silenced from 0.6 s before to 0.4 s after the moment it is read, between these two.
            self.windows.append((time.monotonic() - INFO_BEFORE_S, asked_s + INFO_AFTER_S))
            return asked_s
        before = self.left.pressed
        self.left.press(digit, ms=100, in_band=carrier == "inband")
        deadline = time.monotonic() + HANGS_S
        while self.left.pressed == before:
            if time.monotonic() > deadline:
                raise TimeoutError("the digit was not sent")
            time.sleep(0.005)
        return self.left.key_ends[-1]

    # --- signalling

    def wait(self, call: Call, check: Callable[[Call], object]) -> None:
        """Wait until a leg is in some way; TimeoutError when it hangs, or the recorder was killed."""
        deadline = time.monotonic() + HANGS_S
        while True:
            try:
                return call.wait_for(check, LOOK_S)
            except TimeoutError:
                if self.is_cut or time.monotonic() > deadline:
                    raise

    def wait_confirmed(self, call: Call) -> None:
        """Wait for a leg's answer."""
        self.wait(call, lambda call: call.state in (State.CONFIRMED, State.ENDED))
        if call.state is State.ENDED:
            raise TimeoutError(f"{call} ended before it was answered")

    def re_offer(self, **changes: Any) -> float:
        """Send a re-INVITE of the caller's and wait for its 200; return when it was sent."""
        self._version += 1
        before = len(self.first.replies_to("INVITE"))
        asked_s = time.monotonic()
        self.first.offer(replace(self.left.media(), version=self._version, **changes))
        self.wait(self.first, lambda call: len(call.replies_to("INVITE")) > before)
        return asked_s

    def _end(self) -> None:
        self.ended_s = time.monotonic()
        self._hang_up()
        if self.plan.moment in ("hang_up", "late", "duplicated"):
            time.sleep(0.15)  # what arrives after the end
        if self.plan.moment == "stale":  # to ports that the next calls get sooner or later
            for voice in self.voices:
                self.bring_stray(voice, voice.remote)
        elif self.plan.moment != "killed":
            for stray in self.strays:
                stray.hush()
        for voice in self.voices:
            voice.hush()
        if any(voice.is_used_up for voice in self.voices):
            self.error = self.error or "a voice has used up its secret stretch: the call took too long"

    def _hang_up(self) -> None:
        first = getattr(self, "first", None)
        second = getattr(self, "second", None)
        hanging_up = second if self.plan.hangs_up == 1 and second is not None else first
        if hanging_up is not None and not self.is_cut:
            hanging_up.hang_up()
            try:
                self.wait(hanging_up, has_ended)
            except TimeoutError as error:
                self.error = self.error or str(error)


def has_ended(call: Call) -> bool:
    """Tell whether a leg is over."""
    return call.state is State.ENDED


def listens(call: Call) -> bool:
    """Tell whether the recorder's last session description on a call has it listen (RFC 3264 section 5.1)."""
    return not {b"a=sendonly", b"a=inactive"} & set(call.remote_body.splitlines())


def _sleep_to(moment_s: float) -> None:
    time.sleep(max(moment_s - time.monotonic(), 0.0))
