"""RSA keys and certificates for a demonstration: `python -m miniapp.sandbox.keys DIR`."""

from __future__ import annotations

import secrets
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

PAIRS = ("wechat_merchant", "wechat_platform", "alipay_app", "alipay_platform")


@dataclass(frozen=True)
class KeyPair:
    """PEM texts: private key as PKCS#8 and PKCS#1, public key as SubjectPublicKeyInfo."""

    private: str
    private_pkcs1: str
    public: str


def key_pair(bits: int = 2048) -> KeyPair:
    """A new RSA key."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=bits)
    private = serialization.PrivateFormat
    none = serialization.NoEncryption()
    pem = serialization.Encoding.PEM
    public = key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo)
    return KeyPair(
        key.private_bytes(pem, private.PKCS8, none).decode(),
        key.private_bytes(pem, private.TraditionalOpenSSL, none).decode(),
        public.decode(),
    )


def merchant_certificate(pair: KeyPair, merchant: str) -> tuple[str, str]:
    """A self-signed API certificate (PEM) and its serial, upper hex, as the merchant platform shows them."""
    key = serialization.load_pem_private_key(pair.private.encode(), None)
    assert isinstance(key, rsa.RSAPrivateKey)  # noqa: S101
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, merchant)])
    now = datetime.now(UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1825))
        .sign(key, hashes.SHA256())
    )
    return built.public_bytes(serialization.Encoding.PEM).decode(), f"{built.serial_number:040X}"


def secret(length: int = 32) -> str:
    """Letters and digits, as API keys are."""
    alphabet = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
    return "".join(secrets.choice(alphabet) for _ in range(length))


def main(argv: list[str] | None = None) -> int:
    """Write <pair>.key, <pair>.pkcs1.key, <pair>.pub and wechat_merchant.crt into a folder, keys as 0400."""
    folder = Path((argv or sys.argv[1:])[0])
    folder.mkdir(parents=True, exist_ok=True)
    for name in PAIRS:
        pair = key_pair()
        texts = {
            f"{name}.key": pair.private,
            f"{name}.pkcs1.key": pair.private_pkcs1,
            f"{name}.pub": pair.public,
        }
        if name == "wechat_merchant":
            texts[f"{name}.crt"], serial = merchant_certificate(pair, name)
            print(f"certificate serial {serial}")
        for file_name, text in texts.items():
            path = folder / file_name
            path.unlink(missing_ok=True)
            path.touch(mode=0o600)
            path.write_text(text)
            path.chmod(0o400 if file_name.endswith(".key") else 0o444)
    return 0


if __name__ == "__main__":
    sys.exit(main())
