import asyncio
import os
import ssl
import stat
import subprocess
import sys
from pathlib import Path

from halfcascade.emulator.tls import LoopbackCertificate


async def test_clients_that_use_the_bundle_trust_the_server_by_name_and_address():
    certificate = LoopbackCertificate()
    server = await asyncio.start_server(
        lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=certificate.server_context()
    )
    port = server.sockets[0].getsockname()[1]
    context = ssl.create_default_context(cafile=certificate.bundle)
    for name in ("127.0.0.1", "localhost"):
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=name)
        writer.close()
    try:
        await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname="example.com")
    except ssl.SSLCertVerificationError:
        pass
    else:
        raise AssertionError("a foreign name was trusted")
    server.close()
    certificate.remove()


def test_files_are_private_hold_the_usual_roots_and_are_removed():
    certificate = LoopbackCertificate()
    folder = certificate.bundle.parent
    for path in folder.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert certificate.bundle.read_text().count("BEGIN CERTIFICATE") > 20
    certificate.remove()
    assert not folder.exists()


def test_killed_in_the_worst_moment_no_key_is_left_for_others(tmp_path):
    # The server's key lies in a file only while the ssl module reads it: there it is killed.
    code = (
        "import os, signal, ssl\n"
        "os.umask(0)\n"
        "ssl.SSLContext.load_cert_chain = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "from halfcascade.emulator.tls import LoopbackCertificate\n"
        "LoopbackCertificate()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], env={**os.environ, "TMPDIR": str(tmp_path)}, check=False)
    assert done.returncode == -9
    keys = [path for path in tmp_path.rglob("*") if path.is_file() and b"PRIVATE KEY" in path.read_bytes()]
    assert keys
    for path in keys:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(Path(path.parent).stat().st_mode) == 0o700
