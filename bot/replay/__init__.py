"""A saved talk run again in virtual time, with the services that it had."""
