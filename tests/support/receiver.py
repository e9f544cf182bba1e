"""A receiver of webhooks and other posts, on loopback, in a thread."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Receiver:
    """Keeps what it gets; `/slow` answers when `release` is set, `/gone` with 410."""

    def __init__(self) -> None:
        self.got: list[tuple[str, dict[str, str], bytes]] = []
        self.release = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                outer.got.append((self.path, headers, body))
                if self.path == "/slow":
                    outer.release.wait(60)
                self.send_response(410 if self.path == "/gone" else 200)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (its base names it)
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def at(self, path: str) -> list[tuple[dict[str, str], bytes]]:
        return [(headers, body) for where, headers, body in self.got if where == path]

    def close(self) -> None:
        """Let go whoever waits, and stop."""
        self.release.set()
        self.server.shutdown()
        self.server.server_close()
