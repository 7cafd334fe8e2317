"""Files on disk: atomic writes, locks, caches, safetensors, and the layout of a run folder.

What the files mean is decided elsewhere.
"""
