"""Certificates of the endpoint: what is refused before anything listens, and who is trusted."""

from __future__ import annotations

import datetime as dt
import ipaddress
import socket
import ssl
import threading
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from modelyard.errors import ServingError
from modelyard.settings import Settings
from modelyard.tls import TlsFiles, client_context, server_context, tls_files


@dataclass(frozen=True)
class Made:
    certificate: Path
    key: Path


def make(folder: Path, name: str, passphrase: bytes | None = None) -> Made:
    """Make a certificate for 127.0.0.1 that nobody else signed."""
    private = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .sign(private, hashes.SHA256())
    )
    encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if passphrase:
        encryption = serialization.BestAvailableEncryption(passphrase)
    made = Made(folder / f"{name}.pem", folder / f"{name}.key")
    made.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    made.key.write_bytes(
        private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption
        )
    )
    return made


def settings(
    certificate: Path | None = None,
    key: Path | None = None,
    ca: Path | None = None,
    endpoint: str = "https://127.0.0.1:8000",
) -> Settings:
    return Settings(endpoint=endpoint, tls_certificate=certificate, tls_key=key, tls_ca=ca)


def test_without_a_certificate_there_is_plain_http() -> None:
    assert tls_files(settings(endpoint="http://127.0.0.1:8000")) is None
    assert client_context(settings(endpoint="http://127.0.0.1:8000")) is True


def test_a_certificate_and_its_key_are_taken(project: Path) -> None:
    made = make(project, "ours")
    assert tls_files(settings(made.certificate, made.key)) == TlsFiles(made.certificate, made.key)


def test_a_certificate_without_its_key_is_refused(project: Path) -> None:
    made = make(project, "ours")
    for found in (settings(made.certificate), settings(key=made.key)):
        with pytest.raises(ServingError, match="TLS_KEY"):
            tls_files(found)


def test_an_address_without_tls_is_refused(project: Path) -> None:
    made = make(project, "ours")
    with pytest.raises(ServingError, match="https:"):
        tls_files(settings(made.certificate, made.key, endpoint="http://127.0.0.1:8000"))


def test_a_missing_file_is_named(project: Path) -> None:
    made = make(project, "ours")
    for certificate, key in ((project / "no", made.key), (made.certificate, project / "no")):
        with pytest.raises(ServingError, match=f"{project}/no cannot be read: No such file"):
            tls_files(settings(certificate, key))


def test_a_key_of_another_certificate_is_refused(project: Path) -> None:
    ours, other = make(project, "ours"), make(project, "other")
    with pytest.raises(ServingError, match=r"no certificate and its key.*mismatch"):
        tls_files(settings(ours.certificate, other.key))


def test_a_file_that_is_no_certificate_is_refused(project: Path) -> None:
    made = make(project, "ours")
    made.certificate.write_text("hello")
    with pytest.raises(ServingError, match="no certificate and its key"):
        tls_files(settings(made.certificate, made.key))


def test_a_key_with_a_passphrase_is_refused_and_not_asked_for(project: Path) -> None:
    made = make(project, "ours", b"secret")
    with pytest.raises(ServingError, match="passphrase"):
        tls_files(settings(made.certificate, made.key))


def connect(server: Made, client: Settings) -> str:
    """Shake hands as our clients do, and name the version that was agreed on."""
    context = server_context(TlsFiles(server.certificate, server.key))
    verify = client_context(client)
    checking = ssl.create_default_context() if verify is True else verify
    assert isinstance(checking, ssl.SSLContext)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                try:
                    context.wrap_socket(connection, server_side=True).close()
                except (ssl.SSLError, OSError):
                    return

        thread = threading.Thread(target=answer)
        thread.start()
        try:
            with (
                socket.create_connection(listener.getsockname(), timeout=5) as connection,
                checking.wrap_socket(connection, server_hostname="127.0.0.1") as secure,
            ):
                return str(secure.version())
        finally:
            thread.join(5)


def test_our_clients_trust_the_endpoints_own_certificate(project: Path) -> None:
    made = make(project, "ours")
    assert connect(made, settings(made.certificate, made.key)) == "TLSv1.3"


def test_our_clients_trust_the_given_authority(project: Path) -> None:
    made = make(project, "ours")
    assert connect(made, settings(ca=made.certificate)) == "TLSv1.3"


def test_our_clients_trust_no_other_certificate(project: Path) -> None:
    ours, other = make(project, "ours"), make(project, "other")
    for client in (settings(other.certificate, other.key), settings()):
        with pytest.raises(ssl.SSLCertVerificationError):
            connect(ours, client)


def test_an_authority_that_is_none_is_refused(project: Path) -> None:
    file = project / "ca.pem"
    for text in ("hello", ""):
        file.write_text(text)
        with pytest.raises(ServingError, match="no certificate that could be trusted"):
            client_context(settings(ca=file))
    with pytest.raises(ServingError, match="cannot be read"):
        client_context(settings(ca=project / "none.pem"))


@pytest.mark.parametrize(
    ("endpoint", "bind", "host", "port"),
    [
        ("http://127.0.0.1:8000", None, "127.0.0.1", 8000),
        ("http://models.example.org", None, "models.example.org", 80),
        ("https://models.example.org", None, "models.example.org", 443),
        ("https://models.example.org", "127.0.0.1:8000", "127.0.0.1", 8000),
        ("http://127.0.0.1:8000", "10.0.0.5", "10.0.0.5", 8000),
        ("http://127.0.0.1:8000", "[::]:9000", "::", 9000),
        ("http://[::1]:8000", None, "::1", 8000),
    ],
)
def test_where_the_endpoint_listens(endpoint: str, bind: str | None, host: str, port: int) -> None:
    found = Settings.model_validate({"endpoint": endpoint, "MODELYARD_BIND": bind})
    assert (found.bind_host, found.bind_port) == (host, port)
