"""What a stranger installs: wheel and sdist, in environments of their own."""
