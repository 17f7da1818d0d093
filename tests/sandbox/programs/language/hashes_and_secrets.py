"""Hashes, authenticates, draws secrets, and speaks TLS with itself through memory."""

import hashlib
import hmac
import os
import secrets
import ssl
import uuid

assert hashlib.sha256(b"abc").hexdigest().startswith("ba7816bf8f01cfea")
assert hashlib.md5(b"", usedforsecurity=False).hexdigest() == "d41d8cd98f00b204e9800998ecf8427e"
for name in hashlib.algorithms_guaranteed:
    made = hashlib.new(name, b"abc", usedforsecurity=False)
    assert made.hexdigest(*([16] if name.startswith("shake") else []))
assert hashlib.blake2b(b"x", key=b"k", digest_size=16).digest_size == 16
assert len(hashlib.pbkdf2_hmac("sha256", b"password", b"salt", 1000)) == 32
assert len(hashlib.scrypt(b"password", salt=b"salt", n=1024, r=8, p=1)) == 64
with open("file", "w+b") as file:
    file.write(b"abc")
    file.seek(0)
    assert hashlib.file_digest(file, "sha1").hexdigest() == "a9993e364706816aba3e25717850c26c9cd0d89d"
assert hmac.compare_digest(
    hmac.digest(b"key", b"text", "sha256"), hmac.new(b"key", b"text", "sha256").digest()
)
assert len({secrets.token_urlsafe() for _ in range(100)}) == 100
assert 0 <= secrets.randbelow(10) < 10
assert len(os.urandom(1_000_000)) == len(os.getrandom(1000)) * 1000
assert uuid.uuid4() != uuid.uuid4()
assert uuid.uuid1().version == 1
assert str(uuid.uuid5(uuid.NAMESPACE_DNS, "python.org")) == "886313e1-3b8a-5372-9b90-0c9aee199e5d"
assert len(ssl.RAND_bytes(16)) == 16
assert ssl.create_default_context().verify_mode == ssl.CERT_REQUIRED

# Without a certificate, which would have to be made first: what is tried is the library and its randomness.
server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
for context in (server, client):
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("AECDH-AES256-SHA:@SECLEVEL=0")
to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
ends = [
    client.wrap_bio(to_client, to_server),
    server.wrap_bio(to_server, to_client, server_side=True),
]
pending = list(ends)
for _ in range(10):
    for end in list(pending):
        try:
            end.do_handshake()
            pending.remove(end)
        except ssl.SSLWantReadError:
            continue
assert pending == []
ends[0].write(b"secret words")
assert ends[1].read(100) == b"secret words"
assert ends[0].version() == "TLSv1.2"
print("done")
