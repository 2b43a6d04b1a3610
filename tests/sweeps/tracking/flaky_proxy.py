"""A TCP proxy in front of an HTTP server that can refuse, swallow, delay, cut, answer 503, or lose one answer."""

import socket
import threading
import time
from contextlib import suppress

BUSY = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 120\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class FlakyProxy:
    """`mode` is pass, refuse, swallow (no answer ever), cut (ends in mid-answer), busy (503) or delay (2 s an answer).

    `lose(text)` drops the answer to the next request that holds `text`, after the server has done what it asks.
    """

    def __init__(self, port: int) -> None:
        self.mode = "pass"
        self.num_lost = 0
        self._losing: bytes | None = None
        self._target = ("127.0.0.1", port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.uri = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def lose(self, text: str) -> None:
        self._losing = text.encode()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, suppress(OSError):
            if self.mode == "refuse":
                return
            with socket.create_connection(self._target) as server:
                while request := _read_message(client):
                    if not self._exchange(client, server, request):
                        return

    def _exchange(self, client: socket.socket, server: socket.socket, request: bytes) -> bool:
        """Whether the connection goes on."""
        mode, losing = self.mode, self._losing
        if mode in ("refuse", "busy"):
            client.sendall(BUSY if mode == "busy" else b"")
            return False
        if mode == "swallow":
            time.sleep(60)
            return False
        server.sendall(request)
        answer = _read_message(server)
        if losing and losing in request:
            self._losing, self.num_lost = None, self.num_lost + 1
            return False
        if mode == "delay":
            time.sleep(2)
        client.sendall(answer[:40] if mode == "cut" else answer)
        return mode != "cut"


def _read_message(connection: socket.socket) -> bytes:
    """One HTTP message, its body by Content-Length or chunks; empty when the other side is done."""
    data = b""
    while b"\r\n\r\n" not in data:
        if not (more := connection.recv(65536)):
            return b""
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    lowered = head.lower()
    if b"transfer-encoding: chunked" in lowered:
        while not body.endswith(b"0\r\n\r\n"):
            body += connection.recv(65536)
        return head + b"\r\n\r\n" + body
    length = int(lowered.partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)
    while len(body) < length:
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body
