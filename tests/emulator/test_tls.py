import asyncio
import ssl
import stat

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
