"""A private CA with one RSA and one ECDSA certificate for localhost."""

import ssl
from dataclasses import dataclass
from pathlib import Path

import trustme


@dataclass(frozen=True, slots=True)
class Certificates:
    """Files of one CA. ``rsa`` and ``ecdsa`` are chains; the keys lie beside them with the suffix ``.key``."""

    ca: Path
    rsa: Path
    ecdsa: Path

    def directives(self, *names: str) -> str:
        """``ssl_certificate`` and ``ssl_certificate_key`` for ``rsa`` or ``ecdsa`` or both, in this order."""
        pairs = ((path, path.with_suffix(".key")) for path in (getattr(self, name) for name in names))
        return "".join(f"ssl_certificate {chain}; ssl_certificate_key {key};\n" for chain, key in pairs)

    def client_context(self) -> ssl.SSLContext:
        """A client's context that trusts this CA alone and checks the name."""
        return ssl.create_default_context(cafile=str(self.ca))


def make_certificates(directory: Path) -> Certificates:
    """Write a fresh CA and its certificates into ``directory``."""
    authority = trustme.CA(organization_name="gatepost tests")
    authority.cert_pem.write_to_path(str(directory / "ca.pem"))
    for name, kind in (("rsa", trustme.KeyType.RSA), ("ecdsa", trustme.KeyType.ECDSA)):
        issued = authority.issue_cert("localhost", "127.0.0.1", key_type=kind)
        chain = b"".join(blob.bytes() for blob in issued.cert_chain_pems)
        (directory / f"{name}.pem").write_bytes(chain)
        key = directory / f"{name}.key"
        key.touch(0o600)  # a key that others can read would be a warning
        issued.private_key_pem.write_to_path(str(key))
    return Certificates(directory / "ca.pem", directory / "rsa.pem", directory / "ecdsa.pem")
