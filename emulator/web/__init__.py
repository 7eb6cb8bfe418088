"""HTTP and websockets of all emulated APIs on one port: an ASGI application, and the server that runs it."""
