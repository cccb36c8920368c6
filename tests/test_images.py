"""Any picture comes in upright and right; what is not a picture says so."""

import numpy as np
import pytest
import torch
from conftest import picture, unchanged
from PIL import Image

from attnd_nb import decode, encode, open_image, to_pil
from attnd_nb.latents import fit_size, native_resolution, nearest_size

RED, GREY = (200, 20, 30), 77


def same(image, colour, tolerance=0):
    return np.abs(np.asarray(image, int) - np.array(colour)).max() <= tolerance


@pytest.mark.parametrize(
    "mode", ["RGB", "RGBA", "L", "LA", "P", "1", "CMYK", "YCbCr", "HSV", "LAB", "I", "F", "I;16"]
)
def test_every_mode_becomes_rgb(mode):
    grey = Image.new("L", (6, 4), 255)
    if mode == "I;16":
        image = Image.fromarray(np.full((4, 6), 65535, np.uint16))
    elif mode == "I":
        image = Image.new("I", (6, 4), 65535)
    elif mode == "F":
        image = Image.new("F", (6, 4), 1.0)
    elif mode == "LAB":
        image = Image.new("LAB", (6, 4), (255, 128, 128))
    else:
        image = grey.convert("RGB").convert(mode)
    opened = open_image(image)
    assert opened.mode == "RGB" and opened.size == (6, 4)
    assert same(opened, (255, 255, 255), tolerance=2)


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "bmp", "tiff", "gif", "ppm"])
def test_every_file_type(tmp_path, suffix):
    path = tmp_path / f"picture.{suffix}"
    Image.new("RGB", (16, 8), RED).save(path)
    assert open_image(path).size == (16, 8) and same(open_image(str(path)), RED, tolerance=4)


def test_transparency_lies_over_white(tmp_path):
    for colour, expected in [
        ((*RED, 0), (255, 255, 255)),
        ((*RED, 255), RED),
        ((0, 0, 0, 128), (127, 127, 127)),
    ]:
        assert same(open_image(Image.new("RGBA", (2, 2), colour)), expected, tolerance=1)
    palette = Image.new("P", (2, 2), 0)
    palette.putpalette([*RED] * 256)
    palette.save(tmp_path / "p.png", transparency=0)
    assert same(open_image(tmp_path / "p.png"), (255, 255, 255))


def test_sixteen_bit_keeps_its_range(tmp_path):
    ramp = np.linspace(0, 65535, 256).astype(np.uint16).reshape(1, -1)
    Image.fromarray(ramp).save(tmp_path / "deep.png")
    for source in (tmp_path / "deep.png", ramp, ramp / 65535):
        opened = np.asarray(open_image(source))[0, :, 0].astype(int)
        assert np.abs(opened - np.arange(256)).max() <= 1


def test_exif_rotation_is_applied(tmp_path):
    image = Image.new("RGB", (8, 4), "white")
    image.putpixel((0, 0), RED)
    exif = image.getexif()
    exif[0x0112] = 6  # the camera was turned: rotate by 90° clockwise to see it upright
    image.save(tmp_path / "turned.png", exif=exif)
    opened = open_image(tmp_path / "turned.png")
    assert opened.size == (4, 8) and opened.getpixel((3, 0)) == RED


def test_arrays_and_tensors_agree():
    array = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    tensor = torch.from_numpy(array).permute(2, 0, 1)
    sources = [
        array,
        array / 255,
        (array / 255).astype(np.float32),
        tensor,
        tensor[None],
        tensor / 255,
        Image.fromarray(array),
    ]
    for source in sources:
        assert np.array_equal(np.asarray(open_image(source)), array)
    assert np.array_equal(np.asarray(open_image(array[:, :, :1]))[:, :, 2], array[:, :, 0])


def test_opening_copies_and_leaves_the_original_alone():
    image = Image.new("RGB", (2, 2), RED)
    open_image(image).putpixel((0, 0), (0, 0, 0))
    assert same(image, RED)


@pytest.mark.parametrize(
    "source, error, words",
    [
        ("nowhere.png", FileNotFoundError, "nowhere.png"),
        ("https://example.org/a.png", ValueError, "download"),
        (".", ValueError, "folder"),
        (np.zeros((0, 4, 3)), ValueError, "no pixels"),
        (np.full((2, 2, 3), np.nan), ValueError, "NaN"),
        (np.full((2, 2, 3), np.inf), ValueError, "infinite"),
        (np.full((2, 2, 3), 255.0), ValueError, "0..255"),
        (np.full((2, 2), -1.0), ValueError, r"\[-1, 1\]"),
        (np.zeros((2, 2, 3), np.int64), ValueError, "int64"),
        (np.zeros((2, 2, 5)), ValueError, "(2, 2, 5)"),
        (np.zeros((2,)), ValueError, "(2,)"),
        (torch.zeros(2, 2, 3), ValueError, "(2, 2, 3)"),
        (torch.zeros(2, 3, 4, 4), ValueError, "list"),
        (np.broadcast_to(np.uint8(0), (20000, 20000)), ValueError, "too large"),
        (None, TypeError, "NoneType"),
        (3, TypeError, "int"),
    ],
)
def test_what_is_no_picture_says_so(source, error, words):
    with pytest.raises(error) as caught:
        open_image(source)
    assert words.strip("\\") in str(caught.value) or words.replace("\\", "") in str(caught.value)


def test_broken_files_say_so(tmp_path):
    picture().save(tmp_path / "whole.png")
    whole = (tmp_path / "whole.png").read_bytes()
    for name, content, words in [
        ("text.png", b"not a picture", "Pillow"),
        ("empty.jpg", b"", "Pillow"),
        ("cut.png", whole[: len(whole) // 2], "broken"),
    ]:
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=words) as caught:
            open_image(tmp_path / name)
        assert name in str(caught.value)


def test_a_decompression_bomb_is_refused_before_it_is_read(tmp_path, monkeypatch):
    picture().save(tmp_path / "big.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(ValueError, match="too large"):
        open_image(tmp_path / "big.png")


@pytest.mark.parametrize("size", [0, (0, 8), (8, -8), (8.5, 8), (8, 8, 8), "64"])
def test_sizes_must_be_height_and_width(size):
    with pytest.raises(ValueError, match="size|values to unpack"):
        open_image(picture(), size)


def test_fitting_keeps_aspect_and_area_and_is_stable(tiny_sd):
    side = native_resolution(tiny_sd)
    assert side == 64
    for size in [(64, 64), (4000, 3000), (10, 30), (1000, 63), (64, 72), (7, 7), (333, 250)]:
        height, width = fit_size(tiny_sd, size)
        assert height % 8 == width % 8 == 0
        assert abs(np.log(height / width * size[1] / size[0])) < 0.5
        assert 0.6 < height * width / side**2 < 1.5
        assert fit_size(tiny_sd, (height, width)) == (height, width)
    assert fit_size(tiny_sd, (64, 72)) == (64, 72)
    assert fit_size(tiny_sd, (64, 64), resolution=128) == (128, 128)
    with pytest.raises(ValueError, match="crop"):
        fit_size(tiny_sd, (10, 1000))
    with pytest.raises(ValueError, match="resolution"):
        fit_size(tiny_sd, (64, 64), resolution=0)


def test_nearest_size():
    class Pipe:
        vae_scale_factor = 8

    assert nearest_size(Pipe, (3, 12)) == (8, 16) and nearest_size(Pipe, (64, 67)) == (64, 64)


def test_encode_and_decode_undo_each_others_scaling(any_pipe):
    image, vae = picture(3, (64, 48)), any_pipe.vae
    with unchanged(any_pipe):
        latents = encode(any_pipe, image)
        pixels = decode(any_pipe, latents)
    assert latents.shape == (1, 8, 8, 6) and latents.dtype == torch.float32 and not latents.requires_grad
    x = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float() / 127.5 - 1
    with torch.no_grad():
        mean = vae.encode(x).latent_dist.mean
        assert torch.allclose(latents, mean * 0.7, atol=1e-5)
        expected = (vae.decode(mean).sample / 2 + 0.5).clamp(0, 1)
    assert pixels.shape == (1, 3, 64, 48) and torch.allclose(pixels, expected, atol=1e-4)
    assert to_pil(pixels)[0].size == (48, 64)


def test_encode_takes_several_and_any_size(tiny_sd):
    both = encode(tiny_sd, [picture(0), picture(1)])
    assert both.shape == (2, 8, 8, 8)
    assert torch.allclose(both[1:], encode(tiny_sd, picture(1)), atol=1e-5)
    assert encode(tiny_sd, picture(0, (61, 35))).shape == (1, 8, 8, 4)
    assert encode(tiny_sd, [picture(0), picture(1, (32, 32))], (32, 40)).shape == (2, 8, 4, 5)
    with pytest.raises(ValueError, match="one size"):
        encode(tiny_sd, [picture(0), picture(1, (32, 32))])


def test_an_autoencoder_without_a_distribution_works_too(tiny_sd, monkeypatch):
    from diffusers import AutoencoderTiny

    torch.manual_seed(0)
    vae = AutoencoderTiny(
        latent_channels=8, encoder_block_out_channels=(8,) * 4, decoder_block_out_channels=(8,) * 4
    )
    monkeypatch.setattr(tiny_sd, "vae", vae)
    latents = encode(tiny_sd, picture())
    assert latents.shape == (1, 8, 8, 8) and decode(tiny_sd, latents).shape == (1, 3, 64, 64)
