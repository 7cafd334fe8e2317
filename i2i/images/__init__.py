"""Reading, writing, resizing and arranging images.

Data sets decide which images to use.
"""
