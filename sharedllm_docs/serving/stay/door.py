"""Connections between client and process: a Unix socket, or a loopback port with a token where there is none.

Both sides verify each other. For a Unix socket, the operating system says which user owns the other process. For a
port, each side proves that it knows a token from a file that only the user can read.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import sys
from collections.abc import Callable
from pathlib import Path

from sharedllm_docs.serving.stay.place import SOCKET, TOKEN
from sharedllm_docs.serving.stay.wire import GoneError, receive, send

UNIX = hasattr(socket, "AF_UNIX") and os.name != "nt"
"""Whether Unix sockets are used."""
PATIENCE = 5.0
"""Seconds that either side waits for the other to prove who it is."""
_DARWIN_LOCAL_PEERCRED = 1
_PROOF_BYTES = 1024


class Door:
    """What a process listens at.

    Args:
        folder: private folder of the user's.
        key: of the process.
    """

    def __init__(self, folder: Path, key: str) -> None:
        self.path = folder / (key + (SOCKET if UNIX else TOKEN))
        self._token = b""
        self._socket = self._unix() if UNIX else self._loopback()
        self._socket.listen(16)

    def _unix(self) -> socket.socket:
        self.path.unlink(missing_ok=True)  # a stale one: the caller holds the lock
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        before = os.umask(0o177)
        try:
            made.bind(str(self.path))
        finally:
            os.umask(before)
        return made

    def _loopback(self) -> socket.socket:
        import secrets

        made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        made.bind(("127.0.0.1", 0))
        self._token = secrets.token_bytes(32)
        text = f"{made.getsockname()[1]} {self._token.hex()}\n"
        scratch = self.path.with_suffix(f".{os.getpid()}")
        with open(os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="ascii") as file:
            file.write(text)
        os.replace(scratch, self.path)
        return made

    def fileno(self) -> int:
        """For ``select``."""
        return self._socket.fileno()

    def take(self) -> Callable[[], socket.socket | None]:
        """Take the next connection. Calling what it returns gives the connection, or None for one of another user.

        That may take ``PATIENCE`` seconds, so it is not done here.
        """
        try:
            made, _address = self._socket.accept()
        except OSError:  # gone again
            return lambda: None
        return lambda: self._trusted(made)

    def _trusted(self, made: socket.socket) -> socket.socket | None:
        try:
            made.settimeout(PATIENCE)
            trusted = peer_is_this_user(made) if UNIX else _known_to(made, self._token)
            made.settimeout(None)
        except (OSError, GoneError, KeyError, ValueError):
            trusted = False
        if not trusted:
            made.close()
            return None
        return made

    def close(self) -> None:
        """Take the door away: nobody finds the process any more. What is connected stays so."""
        with contextlib.suppress(OSError):
            self.path.unlink(missing_ok=True)
        self._socket.close()


def knock(folder: Path, key: str) -> socket.socket | None:
    """A connection to a process; None where none listens, or where another user does."""
    path = folder / (key + (SOCKET if UNIX else TOKEN))
    made: socket.socket | None = None
    try:
        if UNIX:
            made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            made.connect(str(path))
            trusted = peer_is_this_user(made)
        else:
            port, token = path.read_text(encoding="ascii").split()
            made = socket.create_connection(("127.0.0.1", int(port)), timeout=PATIENCE)
            trusted = _proved_to(made, bytes.fromhex(token))
            made.settimeout(None)
    except (OSError, ValueError, KeyError, GoneError):
        trusted = False
    if made is not None and not trusted:
        made.close()
        return None
    return made


def peer_is_this_user(connection: socket.socket) -> bool:
    """Whether the process at the other end of a Unix socket is this user's.

    If the system does not say, the permissions of the folder must suffice.
    """
    uid = _peer_user(connection)
    return uid is None or uid == os.getuid()


def _peer_user(connection: socket.socket) -> int | None:
    if hasattr(socket, "SO_PEERCRED"):
        _pid, uid, _gid = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        return int(uid)
    if sys.platform == "darwin":
        return int(struct.unpack_from("II", connection.getsockopt(0, _DARWIN_LOCAL_PEERCRED, 76))[1])
    return None


def _proof(token: bytes, who: str, first: str, second: str) -> str:
    import hmac

    return hmac.new(token, f"{who} {first} {second}".encode("ascii"), "sha256").hexdigest()


def _known_to(connection: socket.socket, token: bytes) -> bool:
    """The process's side: whether the client knows the token. The token itself is never said."""
    import hmac
    import secrets

    mine = secrets.token_hex(16)
    send(connection, {"nonce": mine})
    said = receive(connection, _PROOF_BYTES)
    if not hmac.compare_digest(str(said["proof"]), _proof(token, "client", mine, str(said["nonce"]))):
        return False
    send(connection, {"proof": _proof(token, "process", mine, str(said["nonce"]))})
    return True


def _proved_to(connection: socket.socket, token: bytes) -> bool:
    """The client's side: whether the process knows the token too."""
    import hmac
    import secrets

    theirs, mine = str(receive(connection, _PROOF_BYTES)["nonce"]), secrets.token_hex(16)
    send(connection, {"nonce": mine, "proof": _proof(token, "client", theirs, mine)})
    answer = str(receive(connection, _PROOF_BYTES)["proof"])
    return hmac.compare_digest(answer, _proof(token, "process", theirs, mine))
