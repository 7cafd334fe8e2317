"""Devices, processes, memory allocation and random numbers.

Nothing here knows about models.
"""
