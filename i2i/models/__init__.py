"""From component names to a working model, and from a model to its file and back.

Training lives in `i2i.training`.
"""
