"""What is said to the recognizer and heard from it, without I/O."""
