"""Protocol machines: transcripts, properties, and what they are made of."""
