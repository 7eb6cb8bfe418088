"""Traffic with Google's APIs on file: recorded by a proxy, played back on the wire, or read as a scenario."""
