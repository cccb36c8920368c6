"""Widgets for the notebooks. They only wrap what works without them, on ipywidgets 7.7 and 8."""

from __future__ import annotations

import io

from PIL import Image

from .images import open_image

__all__ = ["PictureChooser"]


class PictureChooser:
    """An upload button with a default: `picture` is the file uploaded last, the default until there is one.

        chooser = PictureChooser(sample("content"))
        chooser.show()
        chooser.picture        # a PIL image

    Raises what `open_image` raises when an uploaded file is no picture.
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
        return open_image(Image.open(io.BytesIO(bytes(files[-1]["content"]))))

    def show(self) -> None:
        """Display the button; returns None, so that it can end a cell."""
        from IPython.display import display

        display(self.button)
