"""Widgets for the notebooks. They only wrap what works without them, on ipywidgets 7.7 and 8."""

from __future__ import annotations

import base64
import html
import io
import itertools
from functools import lru_cache

from PIL import Image

from .images import open_image, read_picture

__all__ = ["ClickablePicture", "Explorer", "PictureChooser", "explore", "explore_attention"]

MOST_PICTURES = 256  # that one explorer keeps


class PictureChooser:
    """An upload button with a default: `picture` is the file uploaded last, the default until there is one.

        chooser = PictureChooser(sample("content"))
        chooser.show()
        chooser.picture        # a PIL image

    Raises ValueError when an uploaded file is no picture, broken or too large.
    """

    def __init__(self, default):
        from ipywidgets import FileUpload

        self.default = open_image(default)
        self.button = FileUpload(accept="image/*", multiple=False, description="your picture")

    @property
    def picture(self) -> Image.Image:
        files = self.button.value  # ipywidgets 7: {name: {"content": …}}; 8: ({"name": …, "content": …},)
        files = list(files.values()) if isinstance(files, dict) else list(files)
        if not files:
            return self.default
        return read_picture(io.BytesIO(bytes(files[-1]["content"])), "the uploaded file")

    def show(self) -> None:
        """Display the button; returns None, so that it can end a cell."""
        _show_widget(self.button, "An upload button: run the cell to use it.")


def explore(draw, /, start=None, **choices) -> None:
    """Sliders, one for each keyword, and the picture that `draw` makes of their values.

        def draw(radius, colour): ...                       # returns a PIL image or a matplotlib figure
        explore(draw, radius=[1, 2, 5], colour=["red", "blue"], start={"radius": 2})

    `choices`: for each keyword of `draw` a list of values, or a dict {label: value}; a keyword with one value gets no
    slider, and none can be called `start`. `start`: the values to begin with, the first of each list unless given.

    The picture of the start is shown as an output of its own, seen without a running kernel; once a slider moves, the
    picture of its place appears above it, so that the two can be compared. Each combination is drawn once. Returns None,
    so that it can end a cell.

    Raises ValueError for an empty list or a start that is not on it, and what `draw` raises at the start; what it
    raises later is written under the sliders.
    """
    Explorer(draw, start, **choices).show()


class Explorer:
    """What `explore` shows: `sliders` by keyword, `image` and `message` (widgets), `default` (format, bytes).

    >>> wide = Explorer(lambda side: Image.new("RGB", (side, 8)), side=[16, 32])
    >>> wide.values
    {'side': 16}
    >>> wide.move(side=32)
    >>> Image.open(io.BytesIO(wide.image.value)).size
    (32, 8)
    """

    def __init__(self, draw, /, start=None, **choices):
        from ipywidgets import HTML, VBox
        from ipywidgets import Image as Picture

        self.draw = draw
        self.choices = {name: _options(name, values) for name, values in choices.items()}
        if not any(len(options) > 1 for options in self.choices.values()):
            raise ValueError("explore: nothing to choose; give at least one keyword a list of two or more values")
        self._places = {name: 0 for name in self.choices}
        self._places.update(self._places_of(start or {}))
        self._picture = lru_cache(MOST_PICTURES)(lambda *places: _encoded(self.draw(**self._values_at(places))))
        self.default = self._picture(*self._places.values())
        self.sliders = {name: self._slider(name) for name, options in self.choices.items() if len(options) > 1}
        self.image, self.message = Picture(format=self.default[0], value=self.default[1]), HTML()
        self.image.layout.display = "none"  # the static picture is the same, until a slider moves
        self.image.layout.max_width, self.image.layout.align_self = "100%", "flex-start"
        self.box = VBox([*self.sliders.values(), self.message, self.image])
        self.box.add_class("attnd-explorer")

    @property
    def values(self) -> dict:
        """What `draw` is called with now."""
        return self._values_at(self._places.values())

    def move(self, **values) -> None:
        """Set several sliders, and draw once. Raises ValueError for a value that is not on offer."""
        self._move(self._places_of(values))

    def show(self) -> None:
        """Display the widgets and, as an output of its own, the picture of the start."""
        from IPython import display

        names = ", ".join(self.sliders)
        _show_widget(self.box, f"Sliders for {names}: run the cell to move them.")
        display.display(display.Image(data=self.default[1], format=self.default[0]))

    def click(self, picture: ClickablePicture, row: str, column: str) -> None:
        """Let clicks on a picture set two keywords, whose values are the rows and columns of the picture's grid."""
        from ipywidgets import HBox, Layout, VBox

        def clicked(change):
            self._move(dict(zip((row, column), divmod(change["new"], picture.columns))))

        def follow(_):
            picture.grid.index = self._places[row] * picture.columns + self._places[column]

        follow(None)
        picture.grid.observe(clicked, "index")
        for name in (row, column):
            if name in self.sliders:
                self.sliders[name].observe(follow, "index")
        right = VBox([self.message, self.image], layout=Layout(flex="1 1 400px", min_width="0"))
        below = HBox([picture.box, right], layout=Layout(flex_flow="row wrap", align_items="flex-start"))
        self.box.children = [*self.sliders.values(), below]

    def _slider(self, name):
        from ipywidgets import SelectionSlider

        options = [(label, place) for place, (label, _) in enumerate(self.choices[name])]
        slider = SelectionSlider(options=options, value=self._places[name], description=name.replace("_", " "),
                                 continuous_update=False, style={"description_width": "8em"}, layout={"width": "28em"})
        slider.observe(lambda change: self._move({name: change["new"]}), "index")
        return slider

    def _move(self, places):
        if all(self._places[name] == place for name, place in places.items()):
            return  # a slider that follows a click
        self._places.update(places)
        for name in places.keys() & self.sliders.keys():
            self.sliders[name].index = places[name]
        try:
            kind, data = self._picture(*self._places.values())
        except Exception as error:
            where = ", ".join(f"{name}={self.choices[name][place][0]}" for name, place in self._places.items())
            self.message.value = f"<b>{html.escape(f'{type(error).__name__} at {where}: {error}')}</b>"
            self.image.layout.display = "none"
            return
        self.message.value = ""
        self.image.format, self.image.value = kind, data
        self.image.layout.display = None

    def _values_at(self, places):
        return {name: options[place][1] for (name, options), place in zip(self.choices.items(), places)}

    def _places_of(self, values):
        if unknown := values.keys() - self.choices.keys():
            raise ValueError(f"explore: no choice is called {', '.join(sorted(unknown))}; have {', '.join(self.choices)}")
        places = {}
        for name, value in values.items():
            offered = [one for _, one in self.choices[name]]
            places[name] = next((i for i, one in enumerate(offered) if one is value or one == value), None)
            if places[name] is None:
                raise ValueError(f"explore: {name}={value!r} is not on offer; have {offered}")
        return places


class ClickablePicture:
    """A picture that can be clicked: `grid.index` is row · columns + column of the place that was clicked last.

    Core ipywidgets have no picture that reports clicks, and ipyevents, ipycanvas and anywidget are further
    installations (on Colab also a custom widget manager). So this is one `ToggleButtons` with a button for each place of
    a rows × columns grid, which a stylesheet makes transparent and lays over the picture: two widgets in all, where a
    `GridBox` needs one for each of its 1,024 buttons, and the button that is down marks the place. Where a front end
    ignores the stylesheet, what the clicks set can still be set with sliders (see `Explorer.click`).

    `side`: length of the picture's longer side on the screen, in pixels, at least; it is rounded up to whole places.
    """

    _names = itertools.count()

    def __init__(self, picture, rows, columns, side=320):
        from ipywidgets import HTML, ToggleButtons, VBox

        self.rows, self.columns, name = rows, columns, f"attnd-clickable-{next(self._names)}"
        step = -(-side // max(rows, columns))
        width, height = step * columns, step * rows
        places = [f"row {row}, column {column}" for row in range(rows) for column in range(columns)]
        self.grid = ToggleButtons(options=[(label, label) for label in places], index=0,
                                  layout={"width": f"{width}px", "height": f"{height}px", "margin": "4px 16px 4px 4px"})
        self.grid.add_class("attnd-clickable")
        self.grid.add_class(name)
        self.box = VBox([HTML(_stylesheet(name, _encoded(open_image(picture)), step, rows, columns)), self.grid])


def explore_attention(pipe, image, reference, layers="last6", timesteps=(1, 261, 521, 781), start=None) -> None:
    """Click a place of `image` and see where its query looks, in the image itself and in `reference`.

    Sliders set the place too, and the layer, the head (or the mean of all) and the timestep. `start`: a dict of `row`,
    `column`, `layer` (an index in execution order), `head` (an index or None) and `timestep`; by default the middle of the
    picture, the first of `layers`, all heads and the first of `timesteps`. What is shown: see `QueryMaps`. The start is shown
    without a running kernel too. Returns None, so that it can end a cell; raises what `QueryMaps` raises.
    """
    attention_explorer(pipe, image, reference, layers, timesteps, start).show()


def attention_explorer(pipe, image, reference, layers="last6", timesteps=(1, 261, 521, 781), start=None) -> Explorer:
    """The `Explorer` that `explore_attention` shows."""
    from .query_maps import QueryMaps

    maps = QueryMaps(pipe, image, reference, layers)
    heads = {"all": None, **{str(head): head for head in range(max(maps.heads.values()))}}
    start = {"row": maps.rows // 2, "column": maps.columns // 2, **(start or {})}
    explorer = Explorer(maps.draw, start, row=range(maps.rows), column=range(maps.columns),
                        layer=list(maps.numbers.values()), head=heads, timestep=timesteps)
    explorer.click(ClickablePicture(maps.pictures[0], maps.rows, maps.columns), "row", "column")
    return explorer


def _options(name, values):
    """[(label, value), …] of a list of values or a dict {label: value}."""
    options = list(values.items()) if isinstance(values, dict) else [(str(value), value) for value in values]
    if not options:
        raise ValueError(f"explore: {name} has no values to choose from")
    return [(str(label), value) for label, value in options]


def _encoded(picture) -> tuple[str, bytes]:
    """(format, bytes): a matplotlib figure as PNG, and closed; anything that `open_image` takes as JPEG."""
    buffer = io.BytesIO()
    if hasattr(picture, "savefig"):
        from matplotlib import pyplot as plt

        picture.savefig(buffer, format="png", bbox_inches="tight")
        plt.close(picture)
        return "png", buffer.getvalue()
    if picture is None:
        raise TypeError("draw returned None; it has to return a picture or a matplotlib figure")
    open_image(picture).save(buffer, "JPEG", quality=92, subsampling=0)
    return "jpeg", buffer.getvalue()


def _stylesheet(name, encoded, step, rows, columns) -> str:
    """The rules that make the buttons of `.name` a transparent grid over a picture; `step`: pixels of one button."""
    address = f"data:image/{encoded[0]};base64,{base64.b64encode(encoded[1]).decode()}"
    return f"""<style>
.{name} > div {{ display: grid; grid-template-columns: repeat({columns}, {step}px); line-height: 0;
  width: {step * columns}px; height: {step * rows}px; background: url({address}) 0 0 / 100% 100% no-repeat; }}
.{name} > div > button {{ all: unset !important; width: {step}px !important; height: {step}px !important;
  font-size: 0 !important; overflow: hidden !important; cursor: crosshair !important; }}
.{name} > div > button:hover {{ box-shadow: inset 0 0 0 1px white, 0 0 0 1px black !important; }}
.{name} > div > button:focus-visible {{ box-shadow: inset 0 0 0 2px #2b6f8a, 0 0 0 1px white !important; }}
.{name} > div > button.mod-active {{ box-shadow: inset 0 0 0 2px #c8553d, 0 0 0 2px white !important; }}
</style>"""


def _show_widget(widget, text) -> None:
    """Display a widget with a text for where there is none; its own representation differs between versions."""
    from IPython.display import display

    view = {"version_major": 2, "version_minor": 0, "model_id": widget.model_id}
    display({"application/vnd.jupyter.widget-view+json": view, "text/plain": text}, raw=True)
