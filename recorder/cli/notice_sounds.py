"""`recorder notices`: sounds and words of messages: recorded, generated, checked and played."""

import select
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import soundfile
import typer
from numpy.typing import NDArray

from audio.prompts import MAX_PROMPT_S, PromptError, load_prompt, speak, write_sound
from audio.sound_check import as_heard
from audio.sound_devices import open_loudspeaker, open_microphone
from audio.types import TICKS_PER_S, Prompt
from recorder.calls.announcements import choice_of, load_announcements
from recorder.calls.notice_catalogue import Message
from recorder.calls.notice_check import CheckedSound, check_sound
from recorder.calls.notices import NoticeError, NoticeStore
from recorder.cli import completion
from recorder.cli.context import CommandContext, HomeContext, LazyHomeContext
from recorder.cli.errors import said_plainly
from recorder.cli.notices import LanguageOption, MessageArgument, ServiceOption, findings_of, known_service
from recorder.cli.options import JsonOption, LoudspeakerOption, MicrophoneOption
from recorder.cli.output import fail, fail_unknown, print_json, say
from recorder.cli.results.notices import CheckedNotice, GeneratedNotice, NoticeText, PlayedNotice, RecordedNotice
from recorder.common.clock import utc_now
from recorder.rules import wording
from recorder.rules.notice_schedule import ALL_SERVICES, DEFAULT_LANGUAGE
from recorder.rules.notice_template import TEMPLATE_LANGUAGES, TemplateFacts, first_text, second_text

MICROPHONE_HZ = 16000
_BLOCK_S = 0.1
_VOICES = {"en": "en-gb"}
"""Voices of espeak-ng for languages that it has no voice of the same name for."""


def check(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="WAV, FLAC or OGG.")], json: JsonOption = False
) -> None:
    """Measure a sound file as callers would hear it, and say what is wrong with it as a message."""
    checked = check_sound(file)
    measures: dict[str, Any] = dict.fromkeys(_MEASURES) if checked.measures is None else asdict(checked.measures)
    result = CheckedNotice(
        path=str(file), is_usable=not checked.errors, findings=findings_of(checked),
        **{key: measures[key] for key in _MEASURES},
    )  # fmt: skip
    if json:
        print_json(asdict(result))
    else:
        _say_measures(checked)
    if checked.findings:
        raise typer.Exit(1)


def record(
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE.flac", help="The new sound file.")],
    text: Annotated[
        Path | None, typer.Option("--text", metavar="FILE", help="The words, to be read out.", show_default="none")
    ] = None,
    microphone: MicrophoneOption = "",
    seconds: Annotated[
        float, typer.Option("--seconds", min=1.0, max=MAX_PROMPT_S, help="Stop by itself after so many seconds.")
    ] = MAX_PROMPT_S,
    json: JsonOption = False,
) -> None:
    """Record a message from a microphone until you press Enter, and check it."""
    if output.exists():
        fail(f"{output} exists already; give another name, or remove it", 2)
    with said_plainly():
        words = text.read_text(encoding="utf-8").strip() if text is not None else ""
        with open_microphone(MICROPHONE_HZ, device=microphone) as opened:
            name = opened.device.name
            say(f"recording from {name}; press Enter to stop")
            if words:
                say(f"\n{words}\n")
            samples = _recorded(opened.read, seconds)
        _write(output, samples, f"Recorded from {name}", words)
    checked = check_sound(output)
    duration_s = round(len(samples) / MICROPHONE_HZ, 2)
    if json:
        print_json(
            asdict(RecordedNotice(path=str(output), device=name, duration_s=duration_s, findings=findings_of(checked)))
        )
        return
    _say_measures(checked)
    say(f"hear it with `recorder notices play {output}`; store it with `recorder notices import first {output}`")


def generate(
    text: Annotated[Path, typer.Argument(metavar="TEXTFILE", help="The words; - reads standard input.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE.flac")],
    voice: Annotated[
        str | None, typer.Option("--voice", help="A voice of espeak-ng.", show_default="that of the language")
    ] = None,
    language: LanguageOption = DEFAULT_LANGUAGE,
    json: JsonOption = False,
) -> None:
    """Have espeak-ng speak a text: a placeholder until a person records it. Its words are kept beside the sound."""
    spoken_by = voice or _VOICES.get(language, language)
    words_path = output.with_suffix(".txt")
    try:
        words = sys.stdin.read() if str(text) == "-" else text.read_text(encoding="utf-8")
        speak(words, spoken_by, output)
        words_path.write_text(f"{words.strip()}\n", encoding="utf-8")
    except (PromptError, OSError, ValueError) as error:
        fail(str(error))
    if json:
        print_json(asdict(GeneratedNotice(path=str(output), voice=spoken_by, text_path=str(words_path))))
        return
    option = "" if language == DEFAULT_LANGUAGE else f" --language {language}"
    say(f"{output} is ready, spoken by a computer: a placeholder, until a person records it")
    say(f"store it with `recorder notices import first {output}{option}`")


def play(
    context: LazyHomeContext,
    what: Annotated[
        str,
        typer.Argument(
            metavar="first|second|FILE", help="A message, or a sound file.", autocompletion=completion.messages
        ),
    ] = "first",
    version: Annotated[
        int | None, typer.Option("--version", metavar="N", help="This version.", show_default="what is in force")
    ] = None,
    service: ServiceOption = ALL_SERVICES,
    speaker: LoudspeakerOption = "",
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE.wav", help="Write it instead of playing it.")
    ] = None,
) -> None:
    """Play a message or a sound file as callers hear it: 8 kHz, A-law. Its words are shown."""
    try:
        prompt, ids, words = _heard(context, what, version, service)
    except (NoticeError, PromptError, OSError, UnicodeError) as error:
        fail(str(error))
    if words:
        say(words)
    samples = as_heard(prompt)
    with said_plainly():
        if output is not None:
            try:
                soundfile.write(output, samples, TICKS_PER_S, subtype="PCM_16", format="WAV")
            except soundfile.LibsndfileError as error:
                fail(f"{output} cannot be written: {error.error_string}")
        else:
            with open_loudspeaker(TICKS_PER_S, device=speaker) as loudspeaker:
                loudspeaker.write(samples)
                loudspeaker.finish()
    path = None if output is None else str(output)
    result = PlayedNotice(ids=ids, text=words, duration_s=round(prompt.duration_s, 2), path=path)
    done = f"written to {path}" if path else "played"
    context.tell(result, f"{', '.join(ids) or what}: {prompt.duration_s:.1f} s as callers hear it, {done}")


def template(
    context: HomeContext,
    message: MessageArgument = "first",
    language: LanguageOption = DEFAULT_LANGUAGE,
    service: ServiceOption = ALL_SERVICES,
) -> None:
    """Print wording for a message: who records, why, for how long, and rights; filled from recorder.toml."""
    known_service(context, service)
    texts = {"first": first_text, "second": second_text}
    if message not in texts:
        fail_unknown(message, texts, what="a message with wording")
    if language not in TEMPLATE_LANGUAGES:
        fail(f"there is no wording in {language!r}; there is in {' and '.join(TEMPLATE_LANGUAGES)}", 2)
    config = context.config
    own_days = next((one.retention_days for one in config.service if one.name == service), None)
    facts = TemplateFacts(
        council=config.site.name, days=own_days or config.retention.retention_days, reasons=config.notice.reasons,
        second_key=config.notice.second_key if config.notice.second else None,
        privacy_page=config.notice.privacy_page,
    )  # fmt: skip
    text = texts[message](language, facts)
    context.print_text(NoticeText(name=message, language=language, service=service, text=text), f"{text}\n")


_MEASURES = ("duration_s", "rate_hz", "spoken_s", "speech_dbfs", "peak_dbfs", "clipped_share", "before_s", "after_s")


def _say_measures(checked: CheckedSound) -> None:
    sound = checked.measures
    if sound is not None:
        level = "none found" if sound.speech_dbfs is None else f"{sound.spoken_s:.1f} s at {sound.speech_dbfs:.0f} dBFS"
        say(f"{sound.duration_s:.1f} s, {sound.rate_hz} Hz; speech: {level}; peak {sound.peak_dbfs:.0f} dBFS")
        say(f"silence: {sound.before_s:.1f} s before the speech, {sound.after_s:.1f} s after it")
    for one in checked.findings:
        say(f"{one.level.value}: {one.sentence}")
    if not checked.findings:
        say("callers can understand it")


def _recorded(read: Any, seconds: float) -> NDArray[np.int16]:  # noqa: ANN401 - of a microphone
    """Return what is said until somebody presses Enter, or for so many seconds."""
    block, found = round(MICROPHONE_HZ * _BLOCK_S), []
    watched = [sys.stdin] if sys.stdin.isatty() else []
    try:
        for _ in range(round(seconds / _BLOCK_S)):
            found.append(read(block))
            if watched and select.select(watched, [], [], 0)[0]:
                sys.stdin.readline()
                break
    except KeyboardInterrupt:
        if not found:
            raise
    return np.concatenate(found)


def _write(output: Path, samples: NDArray[np.int16], made_by: str, words: str) -> None:
    try:
        write_sound(output, samples / 32768, MICROPHONE_HZ, made_by=made_by)
    except (soundfile.LibsndfileError, TypeError) as error:
        fail(f"{output} cannot be written: give a name that ends in .flac, .wav or .ogg ({error})")
    if words:
        output.with_suffix(".txt").write_text(f"{words}\n", encoding="utf-8")


def _heard(context: CommandContext, what: str, version: int | None, service: str) -> tuple[Prompt, list[str], str]:
    """Return what callers hear, the ids of its messages, and their words."""
    store, path = NoticeStore(context.home.notices), Path(what)
    if what not in {"first", "second", *(one.name for one in store.versions())}:
        beside = path.with_suffix(".txt")
        return load_prompt(path).prompt, [], beside.read_text(encoding="utf-8").strip() if beside.is_file() else ""
    if version is not None:
        one = store.version(what, version)
        return store.message(one).prompt, [f"{what}/{version}"], store.text_of(one)
    known_service(context, service)
    choice = choice_of(context.config)
    heard = load_announcements(store, choice, utc_now()).of(service, utc_now())
    found = {choice.first: heard.first, choice.second: heard.second}.get(what)
    if found is None:
        raise NoticeError(f"no call plays message {what!r}; give --version to play one that is stored")
    return found.prompt, [part.id for part in found.parts], "\n".join(_texts(store, found.parts))


def _texts(store: NoticeStore, parts: tuple[Message, ...]) -> list[str]:
    texts = [(part.language, store.text_of(store.version(part.name, part.version))) for part in parts]
    several = len(texts) > 1
    return [f"{wording.language(tag)}: {text.strip()}" if several else text.strip() for tag, text in texts if text]
