"""ICC profiles, and the sRGB values of their colours by the formulas of the standards."""

from __future__ import annotations

import struct

import numpy as np

DISPLAY_P3 = ((0.51512, 0.24120, -0.00105), (0.29198, 0.69225, 0.04189), (0.15710, 0.06657, 0.78407))
ADOBE_RGB = ((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457))
SRGB = ((0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708), (0.14307, 0.06061, 0.71410))
"""XYZ of the primaries, adapted to D50 (ICC.1:2010; Adobe RGB (1998) colour image encoding)."""

D50 = (0.9642, 1.0, 0.8249)
GAMMA = 563 / 256
"""Adobe RGB's, 2.19921875."""

CYAN, INK = (60.0, -40.0, -40.0), (0.0, 0.0, 0.0)
"""CIELAB of the cyan ink in `cmyk_profile`, and of every other mixture."""


def rgb_profile(primaries: tuple[tuple[float, ...], ...], gamma: float = GAMMA) -> bytes:
    """Return a display profile with these primaries."""
    curve = b"curv" + struct.pack(">IIH", 0, 1, round(gamma * 256))
    colours = dict(zip((b"rXYZ", b"gXYZ", b"bXYZ"), map(_xyz, primaries), strict=True))
    return _profile(b"mntrRGB XYZ ", {**colours, **dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve)})


def grey_profile(gamma: float) -> bytes:
    """Return a profile of grey levels."""
    return _profile(b"mntrGRAYXYZ ", {b"kTRC": b"curv" + struct.pack(">IIH", 0, 1, round(gamma * 256))})


def cmyk_profile() -> bytes:
    """Return a printer's profile: white paper, a cyan ink, and black for whatever else is printed."""
    corners = [(100.0, 0.0, 0.0) if n == 0 else CYAN if n == 8 else INK for n in range(16)]  # K varies fastest
    table = bytes(v for L, a, b in corners for v in (round(L * 2.55), round(a + 128), round(b + 128)))
    identity = b"".join(struct.pack(">i", 65536 * (i % 4 == 0)) for i in range(9))
    ramp = bytes(range(256))
    lut = b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + identity + ramp * 4 + table + ramp * 3
    return _profile(b"prtrCMYKLab ", {b"A2B0": lut, b"A2B1": lut})


def srgb_of(colour: tuple[int, int, int], primaries: tuple[tuple[float, ...], ...]) -> list[float]:
    """Return the sRGB values, 0 to 255, of a colour in the space of `rgb_profile`."""
    return srgb_of_xyz((np.array(colour) / 255) ** GAMMA @ np.array(primaries))


def srgb_of_lab(lab: tuple[float, float, float]) -> list[float]:
    """Return the sRGB values, 0 to 255, of a CIELAB colour under D50."""
    y = (lab[0] + 16) / 116
    f = np.array([y + lab[1] / 500, y, y - lab[2] / 200])
    return srgb_of_xyz(np.where(f > 6 / 29, f**3, 3 * (6 / 29) ** 2 * (f - 4 / 29)) * D50)


def srgb_of_xyz(xyz: np.ndarray) -> list[float]:
    """Return the sRGB values, 0 to 255, of XYZ under D50 (IEC 61966-2-1)."""
    linear = np.clip(xyz @ np.linalg.inv(np.array(SRGB)), 0, 1)
    return (255 * np.where(linear > 0.0031308, 1.055 * linear ** (1 / 2.4) - 0.055, 12.92 * linear)).tolist()


def _xyz(values: tuple[float, ...]) -> bytes:
    return b"XYZ " + bytes(4) + b"".join(struct.pack(">i", round(value * 65536)) for value in values)


def _profile(kind: bytes, tags: dict[bytes, bytes]) -> bytes:
    """Return a profile of ICC version 2.4."""
    name = b"desc" + struct.pack(">II", 0, 5) + b"test\0" + bytes(78)
    tags = {b"desc": name, b"cprt": b"text" + bytes(4) + b"none\0", b"wtpt": _xyz(D50), **tags}
    place, table, data = 132 + 12 * len(tags), b"", b""
    for key, value in tags.items():
        table += key + struct.pack(">II", place + len(data), len(value))
        data += value + bytes(-len(value) % 4)
    size = place + len(data)
    white = b"".join(struct.pack(">i", round(value * 65536)) for value in D50)
    head = struct.pack(">I4sI", size, bytes(4), 0x02400000) + kind + bytes(12) + b"acsp" + bytes(28) + white
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + data
