"""The training step and everything it needs: batches, sub-steps, gradients, augmentation, averaging.

Stages and files live in `i2i.runs`.
"""
