"""The application: what is chained and how a person starts it."""
