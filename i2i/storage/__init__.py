"""Files on disk: atomic writes, locks, caches, safetensors, and the layout of a run folder.

The meaning of the files is decided elsewhere.
"""
