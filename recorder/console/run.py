"""`recorder console`: the console served over a recorder's home. The only process that opens private keys."""

from datetime import UTC, datetime
from pathlib import Path

import uvicorn

from recorder.config import Config
from recorder.console.app import create_app
from recorder.console.server import server_config
from recorder.console.wiring import open_console
from recorder.home import Home
from storage.keys import EpochKeys


class ConsoleError(Exception):
    """The console cannot start; a sentence."""


def serve(home: Home, config: Config) -> None:
    """Serve the console until it is told to stop.

    Raises:
        ConsoleError: It cannot listen.
        StorageError: Keys or index cannot be opened.
        OSError: The file of people cannot be opened.
    """
    assert config.console.listen is not None
    listen = config.console.listen
    private = Path(config.storage.private_keys) if config.storage.private_keys else home.private_keys
    # The key holder makes the keys of the coming months, so that the daemon always has one to seal to.
    EpochKeys(home.root / "keys" / "epochs", private).ensure_epochs(datetime.now(UTC))
    with open_console(home, config) as deps:
        server = uvicorn.Server(server_config(create_app(deps), host=listen.host, port=listen.port))
        try:
            server.run()
        except SystemExit as error:  # uvicorn's way to say that the address cannot be bound
            raise ConsoleError(f"cannot listen on http://{listen}: is another program using it?") from error
