"""FID and KID against pytorch-fid, clean-fid and torch-fidelity: from files to the score, with one Inception.

FID's Inception cannot be had without a download, so that the network has random weights; each library builds its own
from them, reads and resizes the files by itself, and computes its own distance. Roots of matrices of 2048 features take
up to half a minute each. The libraries get the features in a basis of the few directions in which the images lie, which
turns both sets alike, so that it leaves every distance as it is.
"""

from __future__ import annotations

from types import SimpleNamespace

import cleanfid.fid
import numpy as np
import pytest
import pytorch_fid.fid_score
import torch
import torch_fidelity.metric_fid
import torch_fidelity.metric_kid
from cleanfid.inception_torchscript import InceptionV3W
from PIL import Image
from pytorch_fid.inception import InceptionV3
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

from i2i import extract_features
from i2i.contracts.metric import Case, Images
from i2i.images.files import list_images, read_image
from i2i.images.pixels import to_tensor
from i2i_metrics.distances import Frechet, Kernel, frechet_distance, kernel_distance
from i2i_metrics.fid import FID

from .conftest import CPU, PRETRAINED, built

COUNT = 3
SIZE = (40, 56)
pytestmark = pytest.mark.filterwarnings(
    "ignore:'mode' parameter is deprecated:DeprecationWarning",  # clean-fid asks Pillow so
    "ignore:The `disp` argument is deprecated:DeprecationWarning",  # and both ask scipy so
)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Two folders of files: smooth colours with noise, the second ones brighter."""
    generator, root = np.random.default_rng(0), tmp_path_factory.mktemp("files")
    for folder, brightness in (("real", 60), ("fake", 110)):
        (root / folder).mkdir()
        for number in range(COUNT):
            colours = generator.integers(0, 140, (4, 4, 3), np.uint8)
            pixels = np.asarray(Image.fromarray(colours).resize(SIZE)) + generator.integers(
                brightness, size=(56, 40, 3)
            )
            Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(root / folder / f"{number}.png")
    return [root / "real", root / "fake"]


@pytest.fixture(scope="module")
def sets(folders):
    """What i2i reads of the files: two sets, whose features it keeps."""
    read = [torch.stack([to_tensor(read_image(file)) for file in list_images(folder)]) for folder in folders]
    return [Images(lambda x=x: iter([x]), "012", key) for x, key in zip(read, ("real", "fake"), strict=True)]


@pytest.fixture(scope="module")
def judged(sets):
    real, fake = sets
    return Case("man", fake, fake, real)


@pytest.fixture
def theirs(monkeypatch, inception_file):
    """Give pytorch-fid's network the random weights."""
    state = torch.load(inception_file, weights_only=True)
    monkeypatch.setattr("pytorch_fid.inception.load_state_dict_from_url", lambda *_, **__: state)
    return InceptionV3


def turned(*features):
    """Return sets of features, each ``(N, D)``, in a basis of all their directions."""
    stacked = torch.cat([torch.as_tensor(own).double() for own in features])
    basis = torch.linalg.qr(stacked.T).Q
    return [(torch.as_tensor(own).double() @ basis).numpy() for own in features]


def seen(name, sets, inception_file):
    sees = PRETRAINED.features(name, str(inception_file), CPU)
    return [extract_features(sees, own) for own in sets]


def equal(actual, desired):
    """Compare two sets of features to five digits of the largest."""
    for own, other in zip(actual, desired, strict=True):
        torch.testing.assert_close(own, torch.as_tensor(other).float(), rtol=0, atol=1e-5 * float(own.max()))


def test_pytorch_fid(theirs, folders, sets, judged, inception_file):
    network = theirs()
    found = [
        pytorch_fid.fid_score.get_activations(list_images(folder), network, COUNT, num_workers=0) for folder in folders
    ]
    equal(seen("inception", sets, inception_file), found)
    real, fake = ((own.mean(0), np.cov(own, rowvar=False)) for own in turned(*found))
    desired = pytorch_fid.fid_score.calculate_frechet_distance(*real, *fake)
    score = built(FID, weights=str(inception_file)).score(judged)
    assert score.value == pytest.approx(desired, rel=1e-3)
    assert score.value > 1


def test_clean_fid(monkeypatch, theirs, folders, sets, judged, inception_file):
    layers = theirs(resize_input=False, normalize_input=False).eval()
    published = SimpleNamespace(layers=SimpleNamespace(forward=lambda x: layers(x)[0]))
    monkeypatch.setattr("torch.jit.load", lambda _: SimpleNamespace(eval=lambda: published))
    network = InceptionV3W("nowhere", download=False)
    found = [
        cleanfid.fid.get_folder_features(
            str(folder), network, num_workers=0, device=CPU, mode="clean", verbose=False
        )
        for folder in folders
    ]  # fmt: skip
    equal(seen("inception:clean", sets, inception_file), found)
    score = built(FID, clean=True, weights=str(inception_file)).score(judged)
    assert score.value == pytest.approx(cleanfid.fid.fid_from_feats(*turned(*found)), rel=1e-3)
    own = built(Kernel, network="inception:clean", weights=str(inception_file)).score(judged)
    assert own.value == pytest.approx(cleanfid.fid.kernel_distance(*found, num_subsets=1), rel=1e-3)


def test_torch_fidelity(folders, sets, judged, inception_file):
    network = FeatureExtractorInceptionV3("inception", ["2048"], str(inception_file))
    files = [[np.asarray(Image.open(file)) for file in list_images(folder)] for folder in folders]
    found = [network(torch.tensor(np.stack(own)).permute(0, 3, 1, 2))[0] for own in files]
    equal(seen("inception:tensorflow", sets, inception_file), found)
    options = {"network": "inception:tensorflow", "weights": str(inception_file)}
    frechet = built(Frechet, **options).score(judged)
    assert frechet.value == pytest.approx(fidelity(*map(torch.tensor, turned(*found))), rel=1e-3)
    kernel = built(Kernel, **options).score(judged)
    assert kernel.value == pytest.approx(fidelity_kernel(*found, COUNT), rel=1e-3)


@pytest.mark.parametrize(("n", "m"), [(80, 60), (30, 200)])
def test_distances_of_more_images_than_features(noise, n, m):
    real, fake = noise(n, 24).double(), (noise(m, 24, seed=1) * 1.2 + 0.1).double()
    distance = frechet_distance(real, fake)
    moments = [(own.mean(0), np.cov(own, rowvar=False)) for own in (real.numpy(), fake.numpy())]
    assert distance == pytest.approx(pytorch_fid.fid_score.calculate_frechet_distance(*moments[0], *moments[1]))
    assert distance == pytest.approx(cleanfid.fid.fid_from_feats(real.numpy(), fake.numpy()))
    assert distance == pytest.approx(fidelity(real, fake))


def test_kernel_distance_of_equal_numbers(noise):
    real, fake = noise(70, 24).double(), noise(70, 24, seed=1).double() + 0.2
    distance = kernel_distance(real, fake)
    assert distance == pytest.approx(fidelity_kernel(real, fake, 70))
    assert distance == pytest.approx(cleanfid.fid.kernel_distance(real.numpy(), fake.numpy(), num_subsets=1))


def fidelity(real, fake):
    """Return torch-fidelity's FID of features."""
    moments = [torch_fidelity.metric_fid.fid_features_to_statistics(own) for own in (real, fake)]
    found = torch_fidelity.metric_fid.fid_statistics_to_metric(*moments, verbose=False)
    return found[torch_fidelity.metric_fid.KEY_METRIC_FID]


def fidelity_kernel(real, fake, count):
    """Return torch-fidelity's KID of features, of one subset that is the whole set."""
    options = {"kid_subsets": 1, "kid_subset_size": count, "verbose": False}
    found = torch_fidelity.metric_kid.kid_features_to_metric(real, fake, **options)
    return found[torch_fidelity.metric_kid.KEY_METRIC_KID_MEAN]
