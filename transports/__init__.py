"""Where frames enter and leave the pipeline."""
