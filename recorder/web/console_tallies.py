"""What the console counts and measures for its metrics: one instrument each, without path, person or address."""

from recorder.common.instruments import Durations, Instruments, LabelledCounter

_CLASSES = ("1xx", "2xx", "3xx", "4xx", "5xx")
_ANSWER_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0)


class ConsoleTallies(Instruments):
    """The console's instruments. Any thread may use them."""

    def __init__(self) -> None:
        self.requests = LabelledCounter(
            "recorder_console_requests_total", "Requests that the console answered, by class of the status.",
            "status", _CLASSES,
        )  # fmt: skip
        self.answers = Durations(
            "recorder_console_answer_seconds", "From a request until its answer begins.", _ANSWER_S
        )

    def answered(self, status: int, took_s: float) -> None:
        """Count an answer by its HTTP status, and the time until it began, seconds."""
        self.requests.add(f"{status // 100}xx")
        self.answers.took(took_s)
