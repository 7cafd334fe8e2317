"""Pretrained feature networks, and the losses and discriminators that are computed from them."""
