"""The session's machine, without I/O: fed messages and clock readings, it answers with actions."""
