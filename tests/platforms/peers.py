"""The other side of a wire, on a real socket: answers by a function, and can cut, stall and vanish."""

import datetime
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID


@dataclass(frozen=True)
class Request:
    """What arrived."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.target).query, keep_blank_values=True))

    @property
    def form(self) -> dict[str, str]:
        return dict(parse_qsl(self.body.decode(), keep_blank_values=True))


@dataclass(frozen=True)
class Answer:
    """What goes back; only ``cut`` bytes of the body if that is set, though all are promised."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    cut: int | None = None
    delay: float = 0.0
    drip: float = 0.0  # seconds between single bytes


DROP = Answer(status=0)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


class Peer:
    """A listening peer: ``base`` is its address, ``seen`` what has arrived, ``answer`` decides what goes back."""

    def __init__(self, answer: Callable[[Request], Answer], tls: ssl.SSLContext | None = None) -> None:
        self.answer = answer
        self.seen: list[Request] = []
        peer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                heads = {name.lower(): value for name, value in self.headers.items()}
                request = Request(self.command, self.path, heads, self.rfile.read(length))
                peer.seen.append(request)
                self.reply(peer.answer(request))

            do_GET = do_POST = handle_one

            def reply(self, answer: Answer) -> None:
                time.sleep(answer.delay)
                self.close_connection = True
                if answer is DROP:
                    return
                self.send_response(answer.status)
                heads = {"Content-Length": str(len(answer.body)), "Connection": "close", **answer.headers}
                for name, value in heads.items():
                    if value:
                        self.send_header(name, value)
                self.end_headers()
                if answer.drip:
                    self.drip(answer)
                else:
                    self.wfile.write(answer.body if answer.cut is None else answer.body[: answer.cut])

            def drip(self, answer: Answer) -> None:
                with suppress(OSError):
                    for at in range(len(answer.body)):
                        self.wfile.write(answer.body[at : at + 1])
                        self.wfile.flush()
                        time.sleep(answer.drip)

            def log_message(self, *_: object) -> None:
                return

        self._server = _Server(("127.0.0.1", 0), Handler)
        if tls:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        scheme, host = ("https", "localhost") if tls else ("http", "127.0.0.1")
        self.base = f"{scheme}://{host}:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def peer(answer: Callable[[Request], Answer], tls: ssl.SSLContext | None = None) -> Iterator[Peer]:
    one = Peer(answer, tls)
    try:
        yield one
    finally:
        one.close()


@dataclass(frozen=True)
class Keys:
    """An RSA pair as PEM text."""

    private: str
    public: str
    handle: rsa.RSAPrivateKey


def keys() -> Keys:
    handle = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = handle.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = handle.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return Keys(private.decode(), public.decode(), handle)


def certificate(pair: Keys, name: str, folder: Path) -> tuple[str, Path, Path]:
    """A self-signed certificate for ``name``: PEM text, and the files of certificate and key."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    began = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
    built = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(pair.handle.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(began)
        .not_valid_after(began + datetime.timedelta(days=30))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(pair.handle, hashes.SHA256())
    )
    pem = built.public_bytes(serialization.Encoding.PEM).decode()
    cert_file, key_file = folder / f"{name}.pem", folder / f"{name}.key"
    cert_file.write_text(pem, "ascii")
    key_file.write_text(pair.private, "ascii")
    return pem, cert_file, key_file
