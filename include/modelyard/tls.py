"""TLS of the endpoint: the files that it needs, and what Modelyard's own clients trust."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

from modelyard.errors import ServingError
from modelyard.settings import Settings

VARIABLES = "MODELYARD_TLS_CERTIFICATE and MODELYARD_TLS_KEY"


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """A certificate and its key, known to fit."""

    certificate: Path
    key: Path


def tls_files(settings: Settings) -> TlsFiles | None:
    """Return the endpoint's certificate and key; None for plain HTTP.

    Raises:
        ServingError: one is missing, cannot be read, or does not fit the other; or the endpoint's
            address is not one of TLS.
    """
    certificate, key = settings.tls_certificate, settings.tls_key
    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        message = "TLS needs a certificate and its key"
        raise ServingError(message, hint=f"set {VARIABLES}")
    if not settings.endpoint.startswith("https:"):
        message = f"the endpoint has a certificate, and its address is {settings.endpoint}"
        raise ServingError(message, hint="let MODELYARD_ENDPOINT begin with https:")
    files = TlsFiles(certificate.absolute(), key.absolute())
    server_context(files)
    return files


def server_context(files: TlsFiles) -> ssl.SSLContext:
    """Make what a server speaks TLS with: 1.2 and newer.

    Raises:
        ServingError: a file cannot be read, or the two do not fit.
    """
    for file in (files.certificate, files.key):
        _readable(file)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(files.certificate, files.key, password=_no_passphrase)
    except (ssl.SSLError, OSError, ValueError) as error:
        message = (
            f"{files.certificate} and {files.key} are no certificate and its key: {_reason(error)}"
        )
        raise ServingError(message, hint=f"see {VARIABLES}; both in PEM") from error
    return context


def client_context(settings: Settings) -> ssl.SSLContext | bool:
    """What Modelyard's own clients check the endpoint's certificate with, for `verify` of httpx.

    Beside what the system trusts, it is MODELYARD_TLS_CA, or else the endpoint's own certificate,
    so that one that nobody signed will do on a machine of one's own.

    Raises:
        ServingError: the file cannot be read, or has no certificate.
    """
    trusted = settings.tls_ca or settings.tls_certificate
    if trusted is None or not settings.endpoint.startswith("https:"):
        return True
    _readable(trusted)
    context = ssl.create_default_context()
    try:
        context.load_verify_locations(trusted)
    except (ssl.SSLError, ValueError) as error:
        message = f"{trusted} has no certificate that could be trusted: {_reason(error)}"
        raise ServingError(message, hint="see MODELYARD_TLS_CA; in PEM") from error
    return context


def _readable(file: Path) -> None:
    try:
        with file.open("rb"):
            return
    except OSError as error:
        message = f"the file {file} cannot be read: {error.strerror}"
        raise ServingError(message, hint=f"see {VARIABLES}, and MODELYARD_TLS_CA") from error


def _no_passphrase() -> bytes:
    """Answer where OpenSSL would ask at the terminal, which a service has not."""
    message = "the key has a passphrase"
    raise ValueError(message)


def _reason(error: Exception) -> str:
    reason = getattr(error, "reason", None)
    return str(reason or error).replace("_", " ").lower()
