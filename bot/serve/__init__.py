"""Talking through a browser, a telephone or any WebSocket: a server that holds many talks at once.

`access` and `limits` decide, without I/O, who may talk and how much; `doors` makes a transport of what a client opened;
`visit` holds the talk; `app` is the HTTP surface and `server` the process.
"""
