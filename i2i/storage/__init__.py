"""Files on disk: atomic writes, locks, caches, safetensors, and the layout of a run folder.

Other packages define what the files mean.
"""
