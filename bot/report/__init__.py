"""The report of a talk: one page that shows, plays and explains what a session folder holds."""
