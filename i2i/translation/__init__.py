"""Translating image files: which ones, where each translation goes, and reading, computing and writing at once.

Networks and their use are in `models`; options and messages are in `cli`.
"""
