"""i2i: unpaired image-to-image translation that carries over to groups with only a handful of images.

The public names are in ``__init__.pyi`` and are imported on first use, so that ``import i2i`` costs nothing.
"""

from __future__ import annotations

import lazy_loader

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
