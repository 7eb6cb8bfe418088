"""Tests of the local mind."""
