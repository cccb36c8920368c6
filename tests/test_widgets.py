"""The upload button's logic, without a browser, as ipywidgets 7 and 8 hand over a file."""

import io
from datetime import datetime
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from attnd_nb.widgets import PictureChooser

GREY = Image.new("RGB", (8, 8), (90, 90, 90))


def png(colour):
    buffer = io.BytesIO()
    Image.new("RGB", (4, 4), colour).save(buffer, "PNG")
    return buffer.getvalue()


def test_the_default_holds_until_a_picture_is_uploaded():
    assert np.array_equal(PictureChooser(GREY).picture, GREY)


@pytest.mark.parametrize("value", [
    {"red.png": {"metadata": {}, "content": png((200, 0, 0))}},  # ipywidgets 7
    ({"name": "red.png", "content": memoryview(png((200, 0, 0)))},),  # ipywidgets 8
], ids=["ipywidgets 7", "ipywidgets 8"])
def test_an_upload_replaces_the_default(value):
    chooser = PictureChooser(GREY)
    chooser.button = SimpleNamespace(value=value)
    assert chooser.picture.getpixel((0, 0)) == (200, 0, 0)


def test_the_real_button_takes_an_upload():
    chooser = PictureChooser(GREY)
    file = {"name": "x.png", "type": "image/png", "size": 1, "content": png((0, 0, 200))}
    chooser.button.value = ({**file, "last_modified": datetime(2026, 1, 1)},)
    assert chooser.picture.getpixel((0, 0)) == (0, 0, 200)


def test_show_ends_a_cell(capsys):
    assert PictureChooser(GREY).show() is None
