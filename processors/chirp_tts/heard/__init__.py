"""What of the speech was heard: word times while audio plays, and the ledger of it."""
