"""Sheets keep the pictures' pixels and say what they show; the map has every layer at its place."""

import numpy as np
import pytest
from matplotlib import pyplot as plt
from PIL import Image

from attnd_nb.layers import self_attention_layers
from attnd_nb.plots import INK, axes, contact_sheet, pipeline_map, show, show_row

RED, BLUE = np.uint8([200, 30, 30]), np.uint8([20, 60, 190])


def flat(colour, size=(64, 64)):
    return np.broadcast_to(colour, (*size, 3)).copy()


def count(sheet, colour):
    return int((np.asarray(sheet) == colour).all(-1).sum())


def test_a_sheet_shows_every_pixel_once():
    sheet = contact_sheet([[("red", flat(RED)), ("blue", flat(BLUE))], [("red again", flat(RED))]], tile=64)
    assert count(sheet, RED) == 2 * 64 * 64
    assert count(sheet, BLUE) == 64 * 64


def test_pictures_of_other_sizes_fill_their_tile_in_their_own_aspect():
    sheet = contact_sheet([[("small", flat(RED, (16, 32))), ("large", flat(BLUE, (256, 128)))]], tile=64)
    assert count(sheet, RED) == 32 * 64
    assert count(sheet, BLUE) == 64 * 32


def test_none_leaves_a_place_empty():
    with_gap = contact_sheet([[("", None), ("blue", flat(BLUE))]], tile=64)
    assert with_gap.width == contact_sheet([[("", flat(RED)), ("blue", flat(BLUE))]], tile=64).width
    assert count(with_gap, RED) == 0


def test_long_titles_and_captions_wrap_inside_the_sheet():
    words = "KV injection leaves the picture as it was and distillation does not " * 2
    sheet = contact_sheet([[(words, flat(RED, (64, 64)))]], title=words, tile=64)
    plain = contact_sheet([[("x", flat(RED, (64, 64)))]], title="x", tile=64)
    assert sheet.width == plain.width and sheet.height > plain.height
    assert count(sheet, np.uint8([int(INK[i:i + 2], 16) for i in (1, 3, 5)])) > 0
    assert count(sheet, RED) == 64 * 64  # no text over the picture


def test_a_sheet_is_written_where_asked(tmp_path):
    path = tmp_path / "new" / "sheet.png"
    sheet = contact_sheet([[("red", flat(RED))]], path=path)
    assert np.array_equal(np.asarray(Image.open(path)), np.asarray(sheet))


def test_mistakes_are_named():
    with pytest.raises(ValueError, match="no pictures"):
        contact_sheet([])
    with pytest.raises(ValueError, match="no pictures"):
        contact_sheet([[]])
    with pytest.raises(ValueError, match="2 pictures but 1 titles"):
        show_row([flat(RED), flat(BLUE)], ["red"])


def test_what_ends_a_cell_returns_none(capsys):
    figure, _ = axes("The loss falls")
    assert show(figure) is None
    assert not plt.fignum_exists(figure.number)
    assert show_row([flat(RED)], ["red"]) is None


def test_the_map_shows_every_layer_and_lights_the_chosen(tiny_sd):
    figure = pipeline_map(tiny_sd, layers="last6")
    ax = figure.axes[0]
    numbers = [int(text.get_text()) for text in ax.texts if text.get_text().isdigit()]
    assert numbers == list(range(len(self_attention_layers(tiny_sd))))
    dots = [line for line in ax.lines if line.get_marker() == "o"]
    lit = [number for number, dot in zip(numbers, dots) if dot.get_markerfacecolor() != "#f7e3a6"]
    assert lit == [10, 11, 12, 13, 14, 15]
    heights = [dot.get_ydata()[0] for dot in dots]
    assert heights[6] == min(heights) and heights[0] == heights[15] == max(heights)  # mid is lowest
    assert ax.get_title(loc="left") == "16 self-attention layers; the method reads 6 of them"
    plt.close(figure)
