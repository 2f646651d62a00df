"""The token that Ray asks for: of the dashboard, of jobs, and of every process that joins.

Whoever reaches a Ray cluster runs code on it, so the stack's has a token (`RAY_AUTH_MODE=token`).
"""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit

from modelyard.errors import ComputeError
from modelyard.settings import Settings

LOOPBACK = re.compile(r"(?:127(?:\.\d{1,3}){3}|localhost|\[::1\])(?::\d+)?", re.ASCII)
MODE, TOKEN_PATH = "RAY_AUTH_MODE", "RAY_AUTH_TOKEN_PATH"


def ray_headers(settings: Settings) -> dict[str, str]:
    """Write the header for Ray's dashboard; nothing for a cluster without a token.

    Raises:
        ComputeError: the file with the token cannot be read.
    """
    file = token_file(settings, urlsplit(settings.serve_api or "").netloc)
    if file is None:
        return {}
    try:
        return {"Authorization": f"Bearer {file.read_text(encoding='utf-8').strip()}"}
    except OSError as error:
        message = f"the token of the Ray cluster cannot be read: {error.strerror}: {file}"
        raise ComputeError(message, hint="see MODELYARD_RAY_TOKEN_PATH") from error


def ray_environment(settings: Settings) -> dict[str, str]:
    """Say to a process that joins the cluster which token to show, or that there is none."""
    address = (settings.ray_address or "").removeprefix("ray://")
    file = token_file(settings, address)
    if file is not None:
        return {MODE: "token", TOKEN_PATH: str(file)}
    # Unsaid, it depends on whether any program of this user ever left a token in ~/.ray.
    return {MODE: "disabled"} if is_local(address) else {}


def token_file(settings: Settings, address: str) -> Path | None:
    """Find the token for a cluster; the local stack's own is for this machine only."""
    if settings.ray_token_override is not None:
        return settings.ray_token_override.absolute()
    own = settings.ray_token_file
    return own if is_local(address) and own.exists() else None


def is_local(address: str) -> bool:
    """Whether an address, HOST or HOST:PORT, is this machine's own."""
    return LOOPBACK.fullmatch(address) is not None
