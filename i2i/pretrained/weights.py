"""Finding, verifying, reading and downloading pretrained weights.

Only `download` downloads anything, and only ``i2i weights download`` calls it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from i2i.contracts.weights import FoundWeights, WeightsSource
from i2i.errors import WeightsError, did_you_mean
from i2i.registry.registry import Registry
from i2i.storage.caches import Progress, digest, fetch, torch_cache

if TYPE_CHECKING:
    from torch import Tensor, nn

State = Literal["verified", "not verified", "damaged", "missing"]

_PLACES = ("cache", "package")


def sources(registry: Registry, network: str | None = None) -> list[WeightsSource]:
    """Return the registered sources of one network or all, by network and in search order."""
    registered = [registry.get_instance(WeightsSource, name) for name in registry.names(WeightsSource)]
    wanted = [source for source in registered if network in (None, source.network)]
    return sorted(wanted, key=lambda source: (source.network, _PLACES.index(source.place), source.name))


def find(
    registry: Registry, network: str, path: Path | str | None = None, also: Iterable[WeightsSource] = ()
) -> FoundWeights:
    """Find the weights of a network: in the user's file, else a cache, else an installed package.

    Checks only the size of the file, and downloads nothing.

    Args:
        registry: Provides sources.
        network: Such as ``vgg16``.
        path: The user's file.
        also: Sources for networks too many to register.

    Raises:
        WeightsError: There are none; the message lists the places searched and the remedies.
    """
    candidates = sorted((*sources(registry, network), *also), key=lambda source: _PLACES.index(source.place))
    if path is not None:
        return _given(network, Path(path).expanduser(), candidates)
    places = [(source, source.locate()) for source in candidates]
    for source, place in places:
        if place is not None and source.size in (0, place.stat().st_size):
            return FoundWeights(place, source)
    raise WeightsError(_nowhere(registry, network, places))


def read(weights: FoundWeights) -> dict[str, Tensor]:
    """Verify and read a weights file.

    Raises:
        WeightsError: It is damaged or unreadable.
    """
    if state_of(weights) == "damaged":
        raise WeightsError(_damaged(weights))
    return dict((weights.source.load if weights.source else read_weights_file)(weights.path))


def state_of(weights: FoundWeights | None) -> State:
    """Compare a file with its source's hash; each file is hashed once per process."""
    if weights is None:
        return "missing"
    expected = _expected(weights)
    if not expected:
        return "not verified"
    return "verified" if digest(weights.path).startswith(expected) else "damaged"


def fill(network: nn.Module, state: Mapping[str, Tensor], whose: str) -> None:
    """Load a state dict into a network, or only check it on the meta device.

    Raises:
        WeightsError: A parameter is missing, unexpected, or of another shape; the message names ``whose``.
    """
    expected = network.state_dict()
    odd = next((key for key in [*expected, *state] if key not in expected or key not in state), None)
    if odd is not None:
        what = "lacks" if odd in expected else "has an unexpected"
        raise WeightsError(
            f"The weights of {whose} do not fit: the file {what} '{odd}'. Give the file of that network."
        )
    wrong = next((key for key in expected if expected[key].shape != state[key].shape), None)
    if wrong is not None:
        shapes = f"{tuple(state[wrong].shape)}, not {tuple(expected[wrong].shape)}"
        raise WeightsError(f"The weights of {whose} do not fit: '{wrong}' is {shapes}. Give the file of that network.")
    if not any(tensor.is_meta for tensor in expected.values()):
        network.load_state_dict(dict(state))


def read_weights_file(path: Path) -> dict[str, Tensor]:
    """Read a file of named tensors: safetensors, or torch's own format without running pickled code.

    Raises:
        WeightsError: It is neither, or it is damaged.
    """
    try:
        held: Any = _read_safetensors(path) if path.suffix == ".safetensors" else _read_torch(path)
    except Exception as error:  # readers raise anything, from KeyError to RuntimeError
        raise WeightsError(f"{path} cannot be read as weights ({_first_line(error)}). Get the file again.") from error
    state = held.get("state_dict", held) if isinstance(held, Mapping) else held
    if not isinstance(state, Mapping) or not state or not all(hasattr(value, "shape") for value in state.values()):
        raise WeightsError(f"{path} holds no table of named tensors. Give the file of a state dict.")
    return dict(state)


def download(registry: Registry, name: str, progress: Progress | None = None) -> Path:
    """Download a source's file from its official address to torch's cache, atomically.

    Args:
        registry: Provides sources.
        name: A source, or a network that has an address.
        progress: Called repeatedly with the bytes fetched and the total (0: unknown).

    Raises:
        WeightsError: There is no address, it does not respond, or it sent something else.
        DataError: The cache cannot be written to.
    """
    source = _downloadable(registry, name)
    target = torch_cache() / Path(urlsplit(source.url).path).name
    fetch(source.url, target, source.sha256, progress or (lambda done, total: None))
    return target


def _given(network: str, path: Path, candidates: Iterable[WeightsSource]) -> FoundWeights:
    """Return the user's file, with the source that matches its hash, if any."""
    if not path.is_file():
        raise WeightsError(f"{path}, given as the weights of {network}, is not a file. Check the path.")
    known = (s for s in candidates if s.sha256 and s.size in (0, path.stat().st_size))
    return FoundWeights(path, next((s for s in known if digest(path).startswith(s.sha256)), None))


def _expected(weights: FoundWeights) -> str:
    """Return the expected hash of a file; the Hugging Face cache names files by theirs."""
    if weights.source is None or weights.source.sha256:
        return weights.source.sha256 if weights.source else ""
    blob = weights.path.resolve().name
    return blob if weights.path.is_symlink() and re.fullmatch("[0-9a-f]{64}", blob) else ""


def _nowhere(registry: Registry, network: str, places: list[tuple[WeightsSource, Path | None]]) -> str:
    known = sorted({source.network for source in sources(registry)})
    if not places:
        near, broken = did_you_mean(network, known), [plugin.name for plugin in registry.plugins if plugin.error]
        hint = f" Broken plugins, see i2i plugins: {', '.join(broken)}." if broken else ""
        return f"No plugin provides weights of '{network}'.{near} Known: {', '.join(known) or 'none'}.{hint}"
    damaged = "".join(f" {place} has the wrong size; remove it." for _, place in places if place is not None)
    looked = ", ".join(source.name for source, _ in places)
    remedies = " Or: ".join(dict.fromkeys(source.remedy.rstrip(".") + "." for source, _ in reversed(places)))
    return f"The weights of {network} are not on this machine (searched: {looked}).{damaged} {remedies}"


def _damaged(weights: FoundWeights) -> str:
    return (
        f"{weights.path} is damaged or another file: its SHA-256 is {digest(weights.path)}, not {_expected(weights)}. "
        f"Remove it and get it again: {weights.source.remedy if weights.source else ''}"
    )


def _downloadable(registry: Registry, name: str) -> WeightsSource:
    known = sources(registry)
    chosen = [source for source in known if name in (source.name, source.network)]
    if not chosen:
        names = sorted({n for source in known if source.url for n in (source.name, source.network)})
        raise WeightsError(f"There are no weights '{name}'.{did_you_mean(name, names)} Known: {', '.join(names)}.")
    addressed = next((source for source in chosen if source.url), None)
    if addressed is None:
        raise WeightsError(f"'{name}' has no official address to download from. {chosen[0].remedy}")
    return addressed


def _read_safetensors(path: Path) -> Mapping[str, Tensor]:
    from safetensors.torch import load_file

    return load_file(path)


def _read_torch(path: Path) -> Any:
    from i2i.storage.torch_file import read_torch_file

    return read_torch_file(path)


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
