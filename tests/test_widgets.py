"""The widgets' logic, without a browser: uploads, sliders and clicks as ipywidgets 7 and 8 hand them over."""

import io
from datetime import datetime
from types import SimpleNamespace

import numpy as np
import pytest
from matplotlib import pyplot as plt
from PIL import Image

from attnd_nb.widgets import ClickablePicture, Explorer, PictureChooser, attention_explorer, explore, explore_attention

GREY = Image.new("RGB", (8, 8), (90, 90, 90))


def png(colour, side=4):
    buffer = io.BytesIO()
    Image.new("RGB", (side, side), colour).save(buffer, "PNG")
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


@pytest.mark.parametrize("content, message", [(b"milk, eggs", "PNG or JPEG"), (png((0, 0, 0), side=512)[:200], "broken")])
def test_an_upload_that_is_no_picture_says_so(content, message):
    chooser = PictureChooser(GREY)
    chooser.button = SimpleNamespace(value=({"name": "notes.txt", "content": content},))
    with pytest.raises(ValueError, match=f"the uploaded file is .*{message}"):
        _ = chooser.picture


def test_the_real_button_takes_an_upload():
    chooser = PictureChooser(GREY)
    file = {"name": "x.png", "type": "image/png", "size": 1}
    if hasattr(chooser.button, "_counter"):  # ipywidgets 7 is told of an upload in three parts
        chooser.button.metadata, chooser.button.data = [{**file, "lastModified": 1}], [png((0, 0, 200))]
        chooser.button._counter = 1
    else:
        chooser.button.value = ({**file, "content": png((0, 0, 200)), "last_modified": datetime(2026, 1, 1)},)
    assert chooser.picture.getpixel((0, 0)) == (0, 0, 200)


def test_show_ends_a_cell(capsys):
    assert PictureChooser(GREY).show() is None


def shown(monkeypatch, call):
    """What a call displays, a (data, metadata or object) each."""
    outputs = []
    monkeypatch.setattr("IPython.display.display", lambda one, **_: outputs.append(one))
    assert call() is None
    return outputs


def wide(side, colour="grey"):
    return Image.new("RGB", (side, 8), colour)


def size_of(explorer):
    return Image.open(io.BytesIO(explorer.image.value)).size


def test_the_first_values_are_the_default_and_start_changes_them():
    assert Explorer(wide, side=[16, 32], colour=["red", "blue"]).values == {"side": 16, "colour": "red"}
    explorer = Explorer(wide, {"colour": "blue"}, side=[16, 32], colour=["red", "blue"])
    assert explorer.values == {"side": 16, "colour": "blue"} and explorer.sliders["colour"].value == 1
    assert [label for label, _ in explorer.sliders["side"].options] == ["16", "32"]


def test_a_slider_draws_once_for_each_combination():
    drawn = []
    explorer = Explorer(lambda side: drawn.append(side) or wide(side), side=[16, 32, 64])
    assert drawn == [16] and explorer.image.layout.display == "none"  # the static picture is enough
    for index in (1, 0, 1, 2):
        explorer.sliders["side"].index = index
        assert size_of(explorer) == ([16, 32, 64][index], 8) and explorer.image.layout.display is None
    assert drawn == [16, 32, 64]


def test_several_sliders_move_with_one_drawing():
    drawn = []
    explorer = Explorer(lambda a, b: drawn.append((a, b)) or wide(a + b), a=[8, 16], b=[8, 32])
    explorer.move(a=16, b=32)
    assert drawn == [(8, 8), (16, 32)] and size_of(explorer) == (48, 8)
    assert [slider.index for slider in explorer.sliders.values()] == [1, 1]


def test_labels_can_be_given_and_one_value_needs_no_slider():
    explorer = Explorer(lambda side, colour: wide(side, colour), side={"small": 8, "large": 64}, colour=["red"])
    assert list(explorer.sliders) == ["side"] and explorer.values == {"side": 8, "colour": "red"}
    assert [label for label, _ in explorer.sliders["side"].options] == ["small", "large"]
    explorer.move(side=64)
    assert size_of(explorer) == (64, 8)


def test_arrays_can_be_chosen():
    first, second = np.zeros((8, 8, 3)), np.ones((8, 24, 3))
    explorer = Explorer(lambda picture: picture, picture={"first": first, "second": second})
    explorer.sliders["picture"].index = 1
    assert size_of(explorer) == (24, 8)


def test_figures_are_drawn_as_png_and_closed():
    before = plt.get_fignums()  # other tests may leave theirs open
    explorer = Explorer(lambda width: plt.figure(figsize=(width, 1)), width=[1, 2])
    explorer.sliders["width"].index = 1
    assert (explorer.image.format, explorer.image.value[:4]) == ("png", b"\x89PNG") and plt.get_fignums() == before


def test_an_error_is_readable_and_the_next_picture_replaces_it():
    def draw(n):
        return wide(64 // n)

    explorer = Explorer(draw, {"n": 2}, n=[0, 1, 2])
    explorer.sliders["n"].index = 0
    assert "ZeroDivisionError at n=0: integer" in explorer.message.value and explorer.image.layout.display == "none"
    explorer.sliders["n"].index = 1
    assert explorer.message.value == "" and size_of(explorer) == (64, 8) and explorer.image.layout.display is None


def test_error_texts_are_no_markup():
    def draw(n):
        assert n, "<script>"
        return wide(8)

    explorer = Explorer(draw, n=[1, 0])
    explorer.sliders["n"].index = 1
    assert "&lt;script&gt;" in explorer.message.value


@pytest.mark.parametrize("call, error, message", [
    (lambda: Explorer(wide), ValueError, "nothing to choose"),
    (lambda: Explorer(wide, side=[8]), ValueError, "nothing to choose"),
    (lambda: Explorer(wide, side=[]), ValueError, "side has no values"),
    (lambda: Explorer(wide, {"side": 9}, side=[8, 16]), ValueError, r"side=9 is not on offer; have \[8, 16\]"),
    (lambda: Explorer(wide, {"width": 8}, side=[8, 16]), ValueError, "no choice is called width; have side"),
    (lambda: Explorer(lambda side: None, side=[8, 16]), TypeError, "has to return a picture"),
    (lambda: Explorer(lambda side: 1 / 0, side=[8, 16]), ZeroDivisionError, "division"),
])  # fmt: skip
def test_what_cannot_be_explored_is_refused_at_once(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_explore_shows_the_widgets_and_a_picture_that_needs_no_kernel(monkeypatch):
    widgets, picture = shown(monkeypatch, lambda: explore(wide, side=[16, 32]))
    assert widgets["text/plain"] == "Sliders for side: run the cell to move them."
    assert widgets["application/vnd.jupyter.widget-view+json"]["model_id"]
    assert Image.open(io.BytesIO(picture.data)).size == (16, 8) and picture.format == "jpeg"


def test_a_click_is_a_place_of_the_picture():
    picture = ClickablePicture(wide(64), rows=2, columns=16, side=100)
    assert len(picture.grid.options) == len(set(picture.grid.options)) == 32  # a front end finds buttons by their label
    assert (picture.grid.layout.width, picture.grid.layout.height) == ("112px", "14px")  # whole places of 7 pixels
    sheet = picture.box.children[0].value
    assert "repeat(16, 7px)" in sheet and "url(data:image/jpeg;base64,/9j/" in sheet
    other = ClickablePicture(wide(64), 2, 16)
    assert not set(picture.grid._dom_classes[1:]) & set(other.grid._dom_classes[1:])  # each has a stylesheet of its own


def test_clicks_and_sliders_follow_each_other_with_one_drawing():
    drawn = []
    explorer = Explorer(lambda row, column: drawn.append((row, column)) or wide(8), {"row": 1, "column": 2},
                        row=range(3), column=range(4))
    picture = ClickablePicture(wide(8), 3, 4)
    explorer.click(picture, "row", "column")
    assert picture.grid.index == 6
    picture.grid.index = 11  # as a browser sets it
    assert explorer.values == {"row": 2, "column": 3} and drawn == [(1, 2), (2, 3)]
    assert [slider.index for slider in explorer.sliders.values()] == [2, 3]
    explorer.sliders["row"].index = 0
    assert picture.grid.index == 3 and drawn[2:] == [(0, 3)]


def test_the_attention_explorer_draws_where_the_clicked_query_looks(tiny_sd, content, style):
    explorer = attention_explorer(tiny_sd, content, style, timesteps=(1, 501))
    grid = explorer.box.children[-1].children[0].children[1]
    assert explorer.values == {"row": 4, "column": 4, "layer": 10, "head": None, "timestep": 1}
    assert list(explorer.sliders) == ["row", "column", "layer", "head", "timestep"] and grid.index == 4 * 8 + 4
    seen = {explorer.default[1]}
    for change in ({"index": 9}, {"layer": 15}, {"head": 0}, {"timestep": 501}):
        if "index" in change:
            grid.index = change["index"]
        else:
            explorer.move(**change)
        assert explorer.message.value == "" and explorer.image.value not in seen
        seen.add(explorer.image.value)
    assert explorer.values == {"row": 1, "column": 1, "layer": 15, "head": 0, "timestep": 501}
    explorer.move(head=1)  # the layers of this model differ in their heads
    assert "ValueError" in explorer.message.value and "layer 15 has heads 0 to 0" in explorer.message.value


def test_explore_attention_shows_a_static_picture_too(tiny_sd, content, style, monkeypatch):
    start = {"row": 0, "column": 7, "layer": 15}
    widgets, picture = shown(monkeypatch, lambda: explore_attention(tiny_sd, content, style, start=start))
    assert "row, column, layer, head, timestep" in widgets["text/plain"]
    expected = attention_explorer(tiny_sd, content, style, start=start)
    assert picture.data == expected.default[1] and expected.values["column"] == 7
