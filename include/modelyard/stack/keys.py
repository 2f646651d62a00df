"""Passwords and keys: made once, never a default, readable by their owner only."""

from __future__ import annotations

import base64
import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

ADMIN = "admin"
OWNER_ONLY = 0o600
PRIVATE_FOLDER = 0o700
KEY_BYTES = 64
PASSWORD_BYTES = 18
RAY_TOKEN_BYTES = 32


@dataclass(frozen=True, slots=True)
class Keys:
    """What the stack's services prove themselves with."""

    jwt: str
    session: str
    fernet: str
    password: str
    password_file: Path
    ray_token_file: Path
    """Ray reads its token from there; nobody is told it by name."""
    fresh: bool
    """Whether the password was made just now, and so has to be shown."""

    def __repr__(self) -> str:
        return f"Keys(password_file={str(self.password_file)!r})"


def make_keys(folder: Path) -> Keys:
    """Read the keys below `folder`, making what is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(PRIVATE_FOLDER)
    passwords = folder / "airflow_passwords.json"
    fresh = not passwords.exists()
    made = json.dumps({ADMIN: secrets.token_urlsafe(PASSWORD_BYTES)}) + "\n"
    return Keys(
        jwt=_keep(folder / "airflow_jwt", secrets.token_urlsafe(KEY_BYTES)),
        session=_keep(folder / "airflow_session", secrets.token_urlsafe(KEY_BYTES)),
        fernet=_keep(folder / "airflow_fernet", base64.urlsafe_b64encode(os.urandom(32)).decode()),
        password=json.loads(_keep(passwords, made))[ADMIN],
        password_file=passwords,
        ray_token_file=_ray_token(folder / "ray_token"),
        fresh=fresh,
    )


def _ray_token(file: Path) -> Path:
    _keep(file, secrets.token_hex(RAY_TOKEN_BYTES))
    return file


def _keep(file: Path, new: str) -> str:
    """Return the file's text; write `new` first if there is none, so that nobody else can read it."""
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_ONLY)
    except FileExistsError:
        file.chmod(OWNER_ONLY)
        return file.read_text(encoding="utf-8").strip()
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(new)
    return new.strip()
