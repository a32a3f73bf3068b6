"""Certificates, made for one test each."""

import datetime
import os

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

NAME = "xtcp2.test"  # of the daemon
USES = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
        "key_cert_sign", "crl_sign", "encipher_only", "decipher_only")
DAY = datetime.timedelta(days=1)


def _name(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)] if text else [])


class Authority:
    """A CA whose certificates are written to |folder|."""

    def __init__(self, folder, name):
        self.folder = folder
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.subject = _name(name)
        self.path = self._write(f"{name}.crt", self._sign(self.subject, self.key.public_key(), ca=True))

    def _sign(self, subject, public_key, ca=False, sans=(), expired=False):
        now = datetime.datetime.now(datetime.timezone.utc)
        start, end = (now - 3 * DAY, now - DAY) if expired else (now - DAY, now + DAY)
        builder = (x509.CertificateBuilder().subject_name(subject).issuer_name(self.subject).public_key(public_key)
                   .serial_number(x509.random_serial_number()).not_valid_before(start).not_valid_after(end)
                   .add_extension(x509.BasicConstraints(ca, None), critical=True)
                   .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
                   .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()),
                                  critical=False))
        if ca:
            usage = {use: use in ("key_cert_sign", "crl_sign") for use in USES}
            builder = builder.add_extension(x509.KeyUsage(**usage), critical=True)
        if sans:
            names = [x509.UniformResourceIdentifier(s) if "://" in s else x509.DNSName(s) for s in sans]
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=not subject.rdns)
        return builder.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    def _write(self, name, data, mode=0o644):
        """Puts it there as rename(2) does: there is no moment with half a file."""
        path = f"{self.folder}/{name}"
        with open(os.open(path + ".new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as f:
            f.write(data)
        os.rename(path + ".new", path)
        return path

    def issue(self, file, cn="", sans=(), expired=False):
        """(certificate file, key file) called |file|.crt and .key."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._sign(_name(cn), key.public_key(), sans=sans, expired=expired)
        pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                serialization.NoEncryption())
        return self._write(f"{file}.crt", certificate), self._write(f"{file}.key", pem, 0o600)
