"""What is said, in which order, how it is asked for again, and which words were heard: the voice without I/O."""
