"""Reading, writing, resizing and arranging images.

Which images a training uses is decided by data sets.
"""
