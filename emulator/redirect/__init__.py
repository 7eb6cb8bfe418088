"""Leads Python clients that know no emulator variables to the emulator."""
