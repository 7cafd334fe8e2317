"""Comparing transfers: planning, running, testing and presenting many trainings.

A single training is a run.
"""
