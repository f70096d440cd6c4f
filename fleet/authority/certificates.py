"""X.509 certificates of the fleet's own authority (RFC 5280), as PEM bytes."""

from __future__ import annotations

import datetime as dt
import ipaddress
from collections.abc import Iterable

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

#: A board without a battery may start in 1970, and must be let in all the same.
_FROM = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
#: Every device has a copy of this one, so it outlives them. Its key lies beside the server's
#: key: a short life of the latter would guard nothing.
_AUTHORITY_YEARS = 30
_SERVER_YEARS = 5
_RENEWED_DAYS_BEFORE = 365
_AUTHORITY_NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Edgewright fleet authority")])
_SERVER_NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Edgewright broker")])
#: The second one is between the servers of a NATS cluster, which prove themselves both ways.
_SERVER_USES = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
_NO_USE = {
    "digital_signature": False,
    "content_commitment": False,
    "key_encipherment": False,
    "data_encipherment": False,
    "key_agreement": False,
    "key_cert_sign": False,
    "crl_sign": False,
    "encipher_only": False,
    "decipher_only": False,
}


class KeyPair(msgspec.Struct, frozen=True):
    """A certificate and the private key that belongs to it, both PEM."""

    certificate: bytes
    key: bytes


def make_authority(*, now: dt.datetime) -> KeyPair:
    """A new certificate authority that signs with ECDSA over P-256."""
    key = ec.generate_private_key(ec.SECP256R1())
    builder = _begun(_AUTHORITY_NAME, key.public_key(), until=_years_after(now, _AUTHORITY_YEARS))
    usage = _NO_USE | {"key_cert_sign": True, "crl_sign": True}
    certificate = (
        builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.KeyUsage(**usage), critical=True)
        .sign(key, hashes.SHA256())
    )
    return _pair(certificate, key)


def make_server(authority: KeyPair, names: Iterable[str], *, now: dt.datetime) -> KeyPair:
    """A broker's certificate for host names and addresses, signed by the authority.

    Raises:
        ValueError: the authority's files are damaged, or a name is no host name.
    """
    signer = serialization.load_pem_private_key(authority.key, password=None)
    if not isinstance(signer, ec.EllipticCurvePrivateKey):
        message = "expected a key of an elliptic curve"
        raise ValueError(message)  # noqa: TRY004 - a damaged file, not a wrong call
    issuer = x509.load_pem_x509_certificate(authority.certificate)
    key = ec.generate_private_key(ec.SECP256R1())
    builder = _begun(
        _SERVER_NAME,
        key.public_key(),
        until=min(_years_after(now, _SERVER_YEARS), issuer.not_valid_after_utc),
        issuer=issuer.subject,
    )
    usage = _NO_USE | {"digital_signature": True}
    certificate = (
        builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.KeyUsage(**usage), critical=True)
        .add_extension(x509.ExtendedKeyUsage(_SERVER_USES), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()),
            critical=False,
        )
        .add_extension(
            x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False
        )
        .sign(signer, hashes.SHA256())
    )
    return _pair(certificate, key)


def names_in(certificate: bytes) -> set[str]:
    """Host names and addresses that a certificate is for.

    Raises:
        ValueError: it is damaged.
    """
    found = x509.load_pem_x509_certificate(certificate).extensions.get_extension_for_class(
        x509.SubjectAlternativeName
    )
    return {str(name.value) for name in found.value}


def is_current(server: bytes, authority: bytes, *, now: dt.datetime) -> bool:
    """Whether a server's certificate is the authority's, for all its uses, and for a good while.

    Raises:
        ValueError: one of them is damaged.
    """
    certificate = x509.load_pem_x509_certificate(server)
    try:
        certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(authority))
    except Exception:  # noqa: BLE001 - it raises a different one for every way to be foreign
        return False
    try:
        uses = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return False
    if not set(_SERVER_USES) <= set(uses):
        # Made by a release of before.
        return False
    return certificate.not_valid_after_utc - now > dt.timedelta(days=_RENEWED_DAYS_BEFORE)


def _begun(
    subject: x509.Name,
    key: ec.EllipticCurvePublicKey,
    *,
    until: dt.datetime,
    issuer: x509.Name | None = None,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer or subject)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(_FROM)
        .not_valid_after(until)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _pair(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> KeyPair:
    return KeyPair(
        certificate.public_bytes(serialization.Encoding.PEM),
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
    )


def _years_after(now: dt.datetime, years: int) -> dt.datetime:
    return now + dt.timedelta(days=365.25 * years)
