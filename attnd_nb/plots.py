"""Figures in one style: sheets of pictures at their own pixels, and curves and maps with matplotlib.

A title states a finding. Sheets are drawn with Pillow, so that a pixel of a picture is a pixel of the sheet.
In a notebook `show_row`, `show_sheet` and `show` end a cell: they display and return None.
"""

from __future__ import annotations

import io
from pathlib import Path

import matplotlib
from matplotlib import pyplot as plt
from PIL import Image, ImageDraw, ImageFont

from .arguments import open_maps
from .images import open_image
from .latents import native_resolution
from .layers import select_layers, self_attention_layers
from .masks import Regions, members, shares

INK, QUIET, PAPER = "#22252b", "#8a8f98", "#ffffff"
COLOURS = ("#c8553d", "#2b6f8a", "#e0a030", "#5b8c5a", "#7a5c8e", "#8a8f98")
STYLE = {
    "figure.dpi": 96, "figure.facecolor": PAPER, "savefig.bbox": "tight",
    "font.size": 10, "axes.titlesize": 12, "axes.titleweight": "bold", "axes.titlelocation": "left",
    "axes.titlepad": 10, "axes.spines.top": False, "axes.spines.right": False, "axes.edgecolor": QUIET,
    "axes.labelcolor": INK, "xtick.color": QUIET, "ytick.color": QUIET, "text.color": INK,
    "axes.prop_cycle": matplotlib.cycler(color=COLOURS), "lines.linewidth": 1.8,
    "legend.frameon": False, "image.interpolation": "nearest",
}  # fmt: skip
FONT = Path(matplotlib.get_data_path()) / "fonts" / "ttf"


def contact_sheet(rows, title: str = "", path=None, tile: int = 256, gap: int = 12) -> Image.Image:
    """Pictures in rows, each with its caption, under a title that states what is to be seen.

    rows: a list of rows, each a list of (caption, picture) pairs; a picture is whatever `open_image` takes.
    Each is drawn inside a tile × tile square, its aspect kept; None leaves a place empty. With `path` the
    sheet is also written there.

    Returns the sheet. Raises ValueError when there is no picture.

    >>> import numpy as np
    >>> grey = np.full((64, 64, 3), 0.5, np.float32)
    >>> contact_sheet([[("left", grey), ("right", grey)], [("below", grey)]], title="Grey", tile=64).width
    164
    """
    if not rows or not any(rows):
        raise ValueError("contact_sheet: no pictures; give rows of (caption, picture) pairs")
    captions, heading = _font(14), _font(17, bold=True)
    width = gap + max(len(row) for row in rows) * (tile + gap)
    lines = _wrap(title, heading, width - 2 * gap)
    notes = [[_wrap(caption, captions, tile) for caption, _ in row] for row in rows]
    heights = [tile + gap + 20 * max(len(note) for note in row_notes) for row_notes in notes]
    top = gap + 24 * len(lines) + (4 if lines else 0)
    sheet = Image.new("RGB", (width, top + sum(heights)), PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.multiline_text((gap, gap - 2), "\n".join(lines), fill=INK, font=heading, spacing=4)
    for row, row_notes, height in zip(rows, notes, heights):
        for column, ((_, image), note) in enumerate(zip(row, row_notes)):
            left = gap + column * (tile + gap)
            draw.multiline_text((left, top), "\n".join(note), fill=INK, font=captions, spacing=3)
            if image is not None:
                picture = _fit(image, tile)
                sheet.paste(picture, (left, top + height - tile - gap))
        top += height
    if path is not None:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        sheet.save(path)
    return sheet


def plot_regions(style, source_mask, target_mask, token: int = 16, tile: int = 192) -> Image.Image:
    """What each region may see: a row for each label of the target, and everything that is not of it faded.

    First the target's map, then each picture of `style`, cut into the tokens of a layer: squares of `token` pixels, by
    default those of the coarser of the last six layers. Arguments as for `optimize`. Returns the sheet; raises ValueError
    for what is no label map, and for a label of the target that no reference has.

    >>> import numpy as np
    >>> half = np.arange(64)[None].repeat(64, 0) // 32
    >>> plot_regions(np.zeros((64, 64, 3)), half, half.T, tile=64).width
    164
    """
    styles = [open_image(one) for one in (style if isinstance(style, (list, tuple)) else [style])]
    maps = open_maps(source_mask, target_mask, len(styles))
    regions = Regions(maps["target_mask"], maps["source_mask"])
    regions.weigh()
    painted = regions.pictures()["target_mask"].convert("RGB")
    every = [(painted, regions.target), *zip(styles, regions.sources)]

    def lit(picture, labels, label):
        grid = [max(1, side // token) for side in (picture.height, picture.width)]
        seen = members(shares(labels, len(regions.names), grid))[0, label].view(grid)
        mask = Image.fromarray((seen.numpy() * 255).astype("uint8")).resize(picture.size, Image.Resampling.NEAREST)
        faded = Image.blend(picture.convert("L").convert("RGB"), Image.new("RGB", picture.size, PAPER), 0.8)
        return Image.composite(picture, faded, mask)

    captions = ["", *([f"in style {index}" for index in range(len(styles))] if len(styles) > 1 else ["in the style"])]
    rows = [[(note or f"label {regions.names[label]} sees", lit(*one, label)) for note, one in zip(captions, every)]
            for label in sorted(regions.target.unique().tolist(), key=lambda label: regions.names[label])]
    return contact_sheet(rows, title="A region sees its own label only", tile=tile)


def show_sheet(rows, title: str = "", tile: int = 256) -> None:
    """`contact_sheet`, displayed in the notebook; as JPEG, an eighth of the PNG, since notebooks are kept in git."""
    from IPython import display

    buffer = io.BytesIO()
    contact_sheet(rows, title=title, tile=tile).save(buffer, "JPEG", quality=92, subsampling=0)
    display.display(display.Image(data=buffer.getvalue(), format="jpeg"))


def show_row(images, titles=None, title: str = "", tile: int = 256) -> None:
    """One row of pictures with a caption each, displayed in the notebook.

    Raises ValueError when there are not as many titles as pictures.
    """
    images = list(images)
    titles = list(titles) if titles is not None else [""] * len(images)
    if len(titles) != len(images):
        raise ValueError(f"show_row: {len(images)} pictures but {len(titles)} titles")
    show_sheet([list(zip(titles, images))], title=title, tile=tile)


def show(figure) -> None:
    """Display a matplotlib figure in the notebook and forget it; returns None, so that it can end a cell."""
    from IPython.display import display

    display(figure)
    plt.close(figure)


def axes(title: str, size=(7.0, 3.2), columns: int = 1, **options):
    """A matplotlib figure in the project's style: (figure, axes), with a title at the upper left.

    `options` go to `plt.subplots`. End the cell with `show(figure)`.

    >>> figure, ax = axes("The loss falls")
    >>> ax.get_title(loc="left")
    'The loss falls'
    """
    with matplotlib.rc_context(STYLE):
        figure, panels = plt.subplots(1, columns, figsize=size, layout="constrained", **options)
        (panels if columns == 1 else panels[0]).set_title(title)
    return figure, panels


def pipeline_map(pipe, layers="last6"):
    """The pipeline as a map: text encoder, VAE and UNet, with every self-attention layer at its place.

    Each dot is a self-attention layer with its number in execution order; those in `layers` (see
    `select_layers`) are filled. Returns a matplotlib figure, to be shown with `show`.
    """
    every, chosen = list(self_attention_layers(pipe)), set(select_layers(pipe, layers))
    title = f"{len(every)} self-attention layers; the method reads {len(chosen)} of them"
    figure, ax = axes(title, size=(10.4, 3.9))
    stages = _stages(pipe.unet)
    last, bottom = len(stages) - 1, -max(level for _, level, _ in stages)
    xs, ys = [-1.3, *range(last + 1), last + 1.3], [0, *(-level for _, level, _ in stages), 0]
    ax.plot(xs, ys, color=QUIET, lw=1, zorder=0)  # the way of the latent
    for i in range(-bottom):  # skip connections
        ax.plot([i, last - i], [-i, -i], color=QUIET, lw=0.8, ls=(0, (3, 4)), zorder=0)
    side = f"{native_resolution(pipe)}×{native_resolution(pipe)} pixels"
    _box(ax, xs[0], 0, 1.2, "VAE encoder", side)
    _box(ax, xs[-1], 0, 1.2, "VAE decoder", side)
    _box(ax, xs[0], bottom, 1.2, "text encoder", "prompt → tokens")
    for x, (stage, level, tokens) in enumerate(stages):
        name = stage.replace("_block", "").replace("s.", " ")
        _box(ax, x, -level, 0.88, name, f"{tokens}×{tokens} tokens")
        inside = [i for i, layer in enumerate(every) if layer.startswith(stage + ".")]
        for place, i in enumerate(inside):
            _dot(ax, x + 0.26 * (place - (len(inside) - 1) / 2), -level, i, every[i] in chosen)
    ax.set(xlim=(-2, last + 2), ylim=(bottom - 0.5, 0.5))
    ax.axis("off")
    return figure


def _stages(unet) -> list[tuple[str, int, int]]:
    """Stages of the UNet in execution order: name, level, tokens a side at the model's own resolution."""
    top, size = len(unet.down_blocks) - 1, unet.config.sample_size
    down = [(f"down_blocks.{i}", i) for i in range(top + 1)]
    up = [(f"up_blocks.{i}", top - i) for i in range(top + 1)]
    return [(name, level, size >> level) for name, level in [*down, ("mid_block", top), *up]]


def _box(ax, x: float, y: float, width: float, name: str, note: str) -> None:
    ax.add_patch(plt.Rectangle((x - width / 2, y - 0.4), width, 0.8, fc="#f3f4f6", ec=QUIET, lw=0.8))
    ax.text(x, y + 0.27, name, ha="center", va="center", fontsize=8.5, weight="bold")
    ax.text(x, y - 0.28, note, ha="center", va="center", fontsize=7, color="#5f646d")


def _dot(ax, x: float, y: float, number: int, filled: bool) -> None:
    ax.plot(x, y, "o", ms=15, mfc=COLOURS[0] if filled else "#f7e3a6", mec=COLOURS[0], mew=0.8)
    ax.text(x, y - 0.01, number, ha="center", va="center", fontsize=8, color=PAPER if filled else INK)


def _font(size: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    """matplotlib's own DejaVu Sans: on every machine, and it has λ, × and →."""
    return ImageFont.truetype(FONT / f"DejaVuSans{'-Bold' if bold else ''}.ttf", size)


def _wrap(text: str, font: ImageFont.FreeTypeFont, width: int) -> list[str]:
    """Text in lines no wider than `width` pixels; a single longer word stays whole."""
    lines: list[str] = []
    for word in text.split():
        if lines and font.getlength(f"{lines[-1]} {word}") <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def _fit(image, tile: int) -> Image.Image:
    """A picture inside tile × tile, its aspect kept; pixels stay sharp when it is enlarged."""
    picture = open_image(image)
    scale = tile / max(picture.size)
    if scale == 1:
        return picture
    size = [max(1, round(side * scale)) for side in picture.size]
    return picture.resize(size, Image.Resampling.NEAREST if scale > 1 else Image.Resampling.LANCZOS)
