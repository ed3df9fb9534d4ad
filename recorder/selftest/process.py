"""A self-test as a process of its own, at a lower priority: `python -m recorder.selftest.process HOME`.

The daemon starts it (`recorder.service.selftest_schedule`). Exit codes: 0 passed, 1 found a fault, 3 cannot run now.
"""

import logging
import sys
from pathlib import Path

from recorder.common import child_process
from recorder.common.home import Home
from recorder.common.logs import use_format
from recorder.config.reading import read_config
from recorder.config.toml_tables import ConfigError
from recorder.selftest.run import CannotRunError, SelfTest

_log = logging.getLogger(__name__)

PASSED, FAULT, CANNOT_RUN = 0, 1, 3


def main(root: Path) -> int:
    """Run a self-test of the recorder in a home; returns the exit code."""
    child_process.begin()
    home = Home(root)
    try:
        use_format(read_config(home.config).log.format)
        report = SelfTest(home).run()
    except (CannotRunError, ConfigError) as error:
        _log.warning("no self-test: %s", error)
        return CANNOT_RUN
    for check in report.checks:
        if not check.passed:
            _log.error("self-test: %s: %s", check.name, check.sentence)
    return PASSED if report.passed else FAULT


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
