"""Pictures that read well on light and dark pages: SVG in the page's text colour, with alt text.

matplotlib loads when a function here is called.
"""

import html
import io
import json
import re
import zlib
from importlib import resources

# Blue, orange, green, red, grey: distinct for most colour-blind readers, and of a middle
# lightness, so that they stand out on white and on near-black alike.
COLORS = ("#3f87c9", "#d9802e", "#3a9e72", "#c9525e", "#8a8f98")

# matplotlib has no name for "the colour of the surrounding text", so this one stands in for it.
_INK = "#010203"

_STYLE = {
    "figure.figsize": (6.4, 3.4),
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": COLORS[-1],
    "grid.alpha": 0.25,
    "font.size": 10,
    "svg.fonttype": "path",
    **dict.fromkeys(
        ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), _INK
    ),
}


class Picture:
    """An inline SVG with a text for readers who cannot see it; notebooks show it as it is."""

    def __init__(self, svg, alt):
        if not alt.strip():
            raise ValueError("alt: expected a sentence that says what the picture shows, got none")
        label = html.escape(alt, quote=True)
        self.alt = alt
        self.svg = re.sub(r"<svg\b", f'<svg role="img" aria-label="{label}"', svg, count=1)

    def _repr_html_(self):
        return f'<figure class="figure-inline">{self.svg}</figure>'


def subplots(*args, **kwargs):
    """``matplotlib.pyplot.subplots`` in the book's style; returns (figure, axes)."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context({**_STYLE, "axes.prop_cycle": mpl.cycler(color=COLORS)}):
        figsize = kwargs.pop("figsize", _STYLE["figure.figsize"])
        figure = Figure(figsize=figsize, layout="constrained")
        return figure, figure.subplots(*args, **kwargs)


def picture(figure, alt):
    """Turn a figure of ``subplots`` into a ``Picture``; ``alt`` says in words what it shows."""
    import matplotlib as mpl

    _ink(figure)
    out = io.StringIO()
    # The salt makes the ids inside the SVG the same in every build, and unlike the next picture's.
    with mpl.rc_context({**_STYLE, "svg.hashsalt": alt}):
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    svg = out.getvalue()
    svg = svg[svg.index("<svg") :].replace(_INK, "currentColor")
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    return Picture(svg, alt)


def _ink(figure):
    """Give black texts the page's colour: they were made outside the style of ``subplots``."""
    from matplotlib.colors import to_hex
    from matplotlib.legend import Legend
    from matplotlib.text import Text

    for text in figure.findobj(Text):
        if to_hex(text.get_color()) == "#000000":
            text.set_color(_INK)
    for legend in figure.findobj(Legend):
        legend.set_frame_on(False)


class Slider(Picture):
    """Frames with a slider that chooses one; notebooks show it as it is.

    Without scripts the last frame stands alone.  ``svg`` is that frame, ``frames`` are all of them.
    """

    def __init__(self, frames, labels, alt, name):
        self.alt, self.svg = alt, frames[-1].svg
        self.frames, self.labels, self.name = list(frames), [str(word) for word in labels], name

    def _repr_html_(self):
        key = f"slider-{zlib.crc32(self.alt.encode()):08x}"
        frames = [
            re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{key}-{k}-", frame.svg)
            for k, frame in enumerate(self.frames)
        ]
        last = len(frames) - 1
        # What stands in a template is no part of the page until the script copies it out.
        waiting = "".join(f"<template>{svg}</template>" for svg in frames)
        return _SLIDER.format(
            key=key,
            name=html.escape(self.name, quote=True),
            alt=html.escape(self.alt, quote=True),
            label=html.escape(self.labels[-1], quote=True),
            labels=html.escape(json.dumps(self.labels), quote=True),
            last=last,
            frame=frames[-1],
            waiting=waiting,
        )


# The script finds its figure by the id: Jupyter runs scripts apart from the place they stand at.
_SLIDER = """<figure class="figure-inline" id="{key}" role="group" aria-label="{alt}" \
data-labels="{labels}">
<div style="display: none; gap: 0.5em; align-items: center; flex-wrap: wrap">
<label for="{key}-range">{name}</label>
<input id="{key}-range" type="range" min="0" max="{last}" value="{last}" step="1" \
aria-valuetext="{label}" style="flex: 1 1 8em; min-width: 8em; accent-color: #3f87c9">
<output for="{key}-range" style="min-width: 4em">{label}</output>
</div>
<div>{frame}</div>
{waiting}
<script>
(() => {{
  const figure = document.getElementById("{key}");
  const labels = JSON.parse(figure.dataset.labels);
  const [control, place] = figure.querySelectorAll(":scope > div");
  const [range, shown] = [control.querySelector("input"), control.querySelector("output")];
  const frames = figure.querySelectorAll("template");
  range.addEventListener("input", () => {{
    place.replaceChildren(frames[range.value].content.cloneNode(true));
    shown.textContent = labels[range.value];
    range.setAttribute("aria-valuetext", labels[range.value]);
  }});
  control.style.display = "flex";
}})();
</script>
</figure>"""


def slider(figures, labels, alt, name="frame"):
    """Turn figures of ``subplots`` into one picture with a slider that chooses among them.

    figures: at least two, alike in size.  labels: what each is called, such as the training step.
    alt: says in words what they show.  name: what the slider sets, its visible label.

    The result needs no request and works by keyboard.  It shows the last frame first.

    Raises ValueError for fewer than two figures, another number of labels, or no words.
    """
    figures, labels = list(figures), list(labels)
    if len(figures) < 2:
        raise ValueError(f"figures: expected at least two, got {len(figures)}")
    if len(labels) != len(figures):
        raise ValueError(f"labels: expected {len(figures)}, one for each figure, got {len(labels)}")
    if not name.strip():
        raise ValueError("name: expected a word for what the slider sets, got none")
    frames = [
        picture(figure, f"{alt} ({name}: {label})" if alt.strip() else "")
        for figure, label in zip(figures, labels, strict=True)
    ]
    return Slider(frames, labels, alt, name)


def drawing(name, alt):
    """Return one of the book's drawings, ``rnnlib/drawings/<name>.svg``, as a ``Picture``.

    Raises ValueError that lists the drawings when there is none of that name.
    """
    folder = resources.files("rnnlib") / "drawings"
    names = sorted(f.name.removesuffix(".svg") for f in folder.iterdir() if f.name.endswith(".svg"))
    if name not in names:
        raise ValueError(f"name: expected one of {', '.join(names)}, got {name!r}")
    return Picture((folder / f"{name}.svg").read_text(encoding="utf-8"), alt)
