"""What stands behind the emulated protocols: replaceable listeners, thinkers and speakers."""
