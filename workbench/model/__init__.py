"""InstructBLIP around transformers' own modules."""
