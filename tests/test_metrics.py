"""What the metrics promise: identity, symmetry, invariance, order."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from attnd_nb.metrics import copied_share, edge_correlation, patch_distance, psnr, ssim


def texture(seed, sigma, size=(96, 96)):
    """Band-passed noise of one spectrum: textures of one sigma are alike, of two are not."""
    noise = np.random.default_rng(seed).standard_normal((*size, 3)).astype(np.float32)
    smooth = gaussian_filter(noise, (sigma, sigma, 0), mode="wrap")
    return (0.5 + 0.15 * smooth / smooth.std()).clip(0, 1)


@pytest.fixture(scope="module")
def fine():
    return texture(0, 1)


@pytest.fixture(scope="module")
def coarse():
    return texture(1, 5)


def test_equal_pictures(fine):
    assert patch_distance(fine, fine) == 0
    assert edge_correlation(fine, fine) == pytest.approx(1)
    assert psnr(fine, fine) == float("inf")
    assert ssim(fine, fine) == pytest.approx(1)


def test_symmetry(fine, coarse):
    for metric in (patch_distance, edge_correlation, psnr, ssim):
        assert metric(fine, coarse) == pytest.approx(metric(coarse, fine), rel=1e-6)


def test_patch_distance_is_the_same_on_every_call(fine, coarse):
    torch.manual_seed(1)
    first = patch_distance(fine, coarse)
    torch.manual_seed(2)
    assert patch_distance(fine, coarse) == first


def test_position_does_not_enter_the_patch_distance(fine):
    """A shifted texture is nearly the same cloud of patches, though pixel by pixel it is another picture."""
    shifted = np.roll(fine, (31, 47), axis=(0, 1))
    assert patch_distance(fine, shifted) < 0.01
    assert psnr(fine, shifted) < 20


def test_two_crops_of_one_texture_are_closer_than_two_textures(fine, coarse):
    assert patch_distance(fine, texture(2, 1)) < 0.3 * patch_distance(fine, coarse)


def test_sizes_may_differ(fine, coarse):
    wide = texture(3, 1, (64, 160))
    assert patch_distance(fine, wide) < 0.5 * patch_distance(coarse, wide)
    assert patch_distance(fine, wide) == pytest.approx(patch_distance(wide, fine), rel=1e-6)


def test_more_blur_is_further_away(fine):
    blurred = [gaussian_filter(fine, (s, s, 0)) for s in (0.5, 1, 2, 4)]
    distances = [patch_distance(fine, b) for b in blurred]
    assert distances == sorted(distances) and distances[0] > 0
    similarities = [ssim(fine, b) for b in blurred]
    assert similarities == sorted(similarities, reverse=True)


def test_a_change_of_brightness_counts_by_its_size():
    grey = np.full((64, 64, 3), 100, np.uint8)
    distance = patch_distance(grey, grey + 51)  # 0.2
    assert 0.8 * 0.2 * 0.8 < distance < 0.8 * 0.2 * 1.25
    assert patch_distance(grey, grey + 102) == pytest.approx(2 * distance, rel=1e-4)


def test_edges_ignore_colour_and_contrast_but_not_place():
    content = np.kron(np.random.default_rng(0).random((8, 8, 1)), np.ones((12, 12, 3))).astype(np.float32)
    tinted = (content * 0.5 + np.float32([0.4, 0.1, 0.0])).clip(0, 1)
    assert edge_correlation(content, tinted) > 0.99
    assert edge_correlation(content, 1 - content) > 0.99
    assert edge_correlation(content, np.roll(content, 6, axis=1)) < 0.3


def test_a_picture_without_edges_shares_none(fine):
    assert edge_correlation(fine, np.full_like(fine, 0.5)) == 0.0


def test_any_kind_of_picture_is_taken(fine, tmp_path):
    from attnd_nb import open_image

    picture = open_image(fine)
    picture.save(tmp_path / "fine.png")
    for other in (picture, tmp_path / "fine.png", torch.from_numpy(fine).permute(2, 0, 1)):
        assert patch_distance(fine, other) == 0


def test_errors_name_the_sizes(fine):
    small = np.zeros((40, 40, 3), np.float32)
    with pytest.raises(ValueError, match="40×40 pixels has no patch of 7 pixels at scale 4; .* at least 56"):
        patch_distance(fine, small)
    for metric in (edge_correlation, psnr, ssim):
        with pytest.raises(ValueError, match=f"{metric.__name__} .* 96×96 and 40×40"):
            metric(fine, small)


def test_a_picture_too_small_to_have_neighbouring_patches_is_refused():
    noise = np.random.default_rng(0).random((64, 64, 3), np.float32)
    with pytest.raises(ValueError, match="at least 32 and 16"):
        copied_share(noise[:31], noise)
    assert copied_share(noise[:32], noise) == 1
