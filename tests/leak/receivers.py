"""A syslog server and a webhook in this process, which keep all that the recorder sends them."""

import base64
import contextlib
import socket
import ssl
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from tests.helpers.anchor_servers import Certificates
from tests.helpers.recorder_home import Edits
from tests.helpers.webhook_server import Taken, webhook_server


class Receivers:
    """Both, outside the recorder's folder.

    Attributes:
        messages: What came by syslog, each connection in one piece.
    """

    def __init__(self) -> None:
        self._stack = ExitStack()
        folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="leak-receivers-")))
        self._webhook = self._stack.enter_context(webhook_server(folder))
        self._secret = folder / "secret"
        self._secret.touch(mode=0o600)
        self._secret.write_text("whsec_" + base64.b64encode(bytes(32)).decode() + "\n")
        self._certificates = Certificates(folder)
        self._listener = self._stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        self.messages: list[bytes] = []
        self._thread = threading.Thread(target=self._accept, name="leak-syslog", daemon=True)
        self._thread.start()

    @property
    def edits(self) -> Edits:
        """Return the changes of a configuration that has the recorder send to both."""
        port, ca = self._listener.getsockname()[1], self._certificates.ca
        webhook = (
            f'[[webhook]]\nname = "leak"\nurl = "https://127.0.0.1:{self._webhook.port}/"\n'
            f'secret_file = "{self._secret}"\nca = "{self._webhook.ca}"\n\n[log]\n'
        )
        return (
            ("[log]\n", webhook),
            ('server = "off" ', f'server = "tls://127.0.0.1:{port}" '),
            (
                'ca = "off"                      # file of CA certificates for the server',
                f'ca = "{ca}"  #',
            ),
        )

    def pieces(self) -> Iterator[tuple[str, bytes]]:
        """Yield all that came."""
        for number, message in enumerate(list(self.messages)):
            yield f"syslog {number}", message
        for number, taken in enumerate(list(self._webhook.taken)):
            yield f"webhook {number}", "\n".join([taken.line, *map(str, taken.headers.items())]).encode() + taken.body

    def plant(self, content: bytes, undo: ExitStack) -> None:
        """Let something have come, until the stack is closed."""
        self.messages.append(content)
        undo.callback(self.messages.remove, content)
        self._webhook.taken.append(taken := Taken("POST / HTTP/1.1", {}, content))
        undo.callback(self._webhook.taken.remove, taken)

    def close(self) -> None:
        """End both. Idempotent."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(10)
        self._stack.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                plain, _ = self._listener.accept()
                with contextlib.suppress(OSError), plain:
                    plain.settimeout(10)
                    self._take(self._certificates.context.wrap_socket(plain, server_side=True))

    def _take(self, connection: ssl.SSLSocket) -> None:
        with connection:
            content = b""
            while more := connection.recv(65536):
                content += more
            self.messages.append(content)
            with contextlib.suppress(OSError):
                connection.unwrap()
