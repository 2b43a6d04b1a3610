"""A TCP proxy in front of an HTTP server that can refuse, swallow, delay, cut, reset, deny, answer 503, or lose one answer."""

import socket
import struct
import threading
import time
from collections import Counter
from contextlib import suppress

DENIED = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class FlakyProxy:
    """`mode` is pass, refuse, swallow (no answer ever), cut (ends in the answer's head), reset (breaks off in the answer's body),
    busy (503 with `retry_after` seconds), deny (401) or delay (2 s an answer). `num_met` counts requests by the mode they met.

    `lose(text)` drops the answer to the next request that holds `text`, after the server has done what it asks.
    """

    def __init__(self, port: int) -> None:
        self.mode = "pass"
        self.retry_after = 2
        self.num_met: Counter[str] = Counter()
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
                self.num_met["refuse"] += 1
                return
            server: socket.socket | None = None
            try:
                while request := _read_message(client):
                    if self.mode not in ("refuse", "busy", "deny", "swallow") and server is None:
                        server = socket.create_connection(self._target)
                    if not self._exchange(client, server, request):
                        return
            finally:
                if server:
                    server.close()

    def _exchange(self, client: socket.socket, server: socket.socket | None, request: bytes) -> bool:
        """Whether the connection goes on."""
        mode, losing = self.mode, self._losing
        self.num_met[mode] += 1
        if mode == "refuse":
            return False
        if mode in ("busy", "deny"):
            client.sendall(_busy(self.retry_after) if mode == "busy" else DENIED)
            return False
        if mode == "swallow":
            time.sleep(60)
            return False
        if server is None:  # the mode changed while we looked
            return False
        server.sendall(request)
        answer = _read_message(server)
        if losing and losing in request:
            self._losing, self.num_lost = None, self.num_lost + 1
            return False
        if mode == "delay":
            time.sleep(2)
        if mode == "reset":
            head, _, body = answer.partition(b"\r\n\r\n")
            client.sendall(head + b"\r\n\r\n" + body[:len(body) // 2])
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            return False
        client.sendall(answer[:40] if mode == "cut" else answer)
        return mode != "cut"


def _busy(seconds: int) -> bytes:
    return (f"HTTP/1.1 503 Service Unavailable\r\nRetry-After: {seconds}\r\nContent-Length: 0\r\n"
            "Connection: close\r\n\r\n").encode()


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
