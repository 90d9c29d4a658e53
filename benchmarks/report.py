"""The results of ``cpu.py`` as JSON, as a table in Markdown, and as a picture."""

import json
import math
from pathlib import Path

import results_file

from rnnlib import plots

# After torch.nn, which is the measure.
ORDER = ("rnnlib", "autograd loop", "numpy-ml", "products alone")


def write(results, folder):
    """Write cpu.json, cpu.md and cpu.svg into the folder."""
    texts = {"cpu.json": results_file.as_json(results), "cpu.md": table(results)}
    texts["cpu.svg"] = picture(results).svg
    results_file.write(texts, folder)
    print(texts["cpu.md"])


def geometric_mean(ratios):
    """Return the geometric mean of a list of positive numbers."""
    return math.exp(sum(map(math.log, ratios)) / len(ratios))


def ratios(results, kind, name):
    """Return the time of a contestant over torch.nn's, for each shape where it took part."""
    steps = [s for s in results["steps"] if s["kind"] == kind and name in s["seconds"]]
    return [s["seconds"][name] / s["seconds"]["torch.nn"] for s in steps]


def table(results):
    """Return the steps, their ratios to torch.nn, and the growth, as Markdown."""
    about = results["about"]
    versions = ", ".join(f"{k} {v}" for k, v in about["versions"].items() if v)
    lines = [
        f"One training step (forward and backward, float32): {about['processor']}, "
        f"{about['threads']} threads, Python {about['python']}, {versions}; {about['date']}, "
        f"`{about['script']}`, seed {about['seed']}, medians of {about['rounds']} turns in each "
        f"of {about['processes']} processes. "
        "Times in ms for torch.nn; the others as multiples of it.",
        "",
        "| layer | (T, N, I, H) | torch.nn | " + " | ".join(ORDER) + " |",
        "|---|---|---:|" + "---:|" * len(ORDER),
    ]
    for step in results["steps"]:
        seconds = step["seconds"]
        cells = [
            f"{seconds[name] / seconds['torch.nn']:.2f}" if name in seconds else "–"
            for name in ORDER
        ]
        lines.append(
            f"| {step['kind']} | {tuple(step['shape'])} | {1e3 * seconds['torch.nn']:.2f} | "
            + " | ".join(cells)
            + " |"
        )
    for kind in dict.fromkeys(s["kind"] for s in results["steps"]):
        means = [ratios(results, kind, name) for name in ORDER]
        cells = [f"{geometric_mean(m):.2f}" if m else "–" for m in means]
        lines.append(f"| {kind} | geometric mean | | " + " | ".join(cells) + " |")
    return "\n".join([*lines, "", *_growth_table(results), ""])


def _growth_table(results):
    names = list(results["growth"][0]["seconds"])
    lines = [
        "How time (ms) and memory (MB: the rise of a fresh process's peak) of an LSTM's step grow:",
        "",
        "| | " + " | ".join(f"{n}, ms" for n in names) + " | ",
        "|---|" + "---:|" * (2 * len(names)),
    ]
    lines[2] += " | ".join(f"{n}, MB" for n in names) + " |"
    for g in results["growth"]:
        cells = [f"{1e3 * g['seconds'][n]:.2f}" for n in names]
        cells += [f"{g['bytes'][n] / 1e6:.1f}" for n in names]
        lines.append(f"| {g['along']} = {g['size']} | " + " | ".join(cells) + " |")
    return lines


def picture(results):
    """Return the ratios to torch.nn as bars, and the growth of memory as lines."""
    figure, axes = plots.subplots(2, 3, figsize=(8.4, 6.4), sharey="row")
    kinds = dict.fromkeys(step["kind"] for step in results["steps"])
    for axis, kind in zip(axes[0], kinds, strict=True):
        _bars(axis, kind, results)
    along = dict.fromkeys(g["along"] for g in results["growth"])
    for axis, name in zip(axes[1], along, strict=True):
        _lines(axis, name, results)
    axes[0, 0].set_ylabel("time, torch.nn = 1")
    axes[1, 0].set_ylabel("memory of an LSTM's step (MB)")
    for row, place in ((0, "outside upper center"), (1, "outside lower center")):
        figure.legend(*axes[row, 0].get_legend_handles_labels(), loc=place, ncols=3)
    return plots.picture(
        figure,
        "Above, for RNN, LSTM and GRU, the time of a step as a multiple of torch.nn's over five "
        "shapes, on a logarithmic axis. Below, the memory of an LSTM's step against T, N and H on "
        "logarithmic axes, for torch.nn, rnnlib, and rnnlib with a checkpoint every √T steps.",
    )


def _bars(axis, kind, results):
    shapes = [step["shape"] for step in results["steps"] if step["kind"] == kind]
    for k, name in enumerate(n for n in ORDER if n != "numpy-ml"):
        places = [place + (k - 1) * 0.25 for place in range(len(shapes))]
        axis.bar(places, ratios(results, kind, name), 0.25, label=name, color=plots.COLORS[k])
    axis.axhline(1, color=plots.COLORS[-1], linestyle="--")
    axis.set(title=kind, yscale="log")
    ticks = [0.125, 0.25, 0.5, 1, 2, 4]
    axis.set_yticks(ticks, [str(t) for t in ticks])
    axis.minorticks_off()
    axis.set_xticks(range(len(shapes)), [", ".join(map(str, shape)) for shape in shapes])
    axis.tick_params(axis="x", rotation=60, labelsize=7)


def _lines(axis, along, results):
    rows = [g for g in results["growth"] if g["along"] == along]
    sizes = [g["size"] for g in rows]
    for name, color in zip(rows[0]["bytes"], plots.COLORS[1:], strict=False):
        # A rise too small to be seen has no place on a logarithmic axis.
        values = [g["bytes"][name] / 1e6 or math.nan for g in rows]
        axis.loglog(sizes, values, "o-", label=name, color=color)
    axis.set_xlabel(along)
    axis.minorticks_off()
    axis.set_xticks(sizes, [str(size) for size in sizes])


if __name__ == "__main__":
    # The table and the picture again, from the figures of an earlier run.
    results = Path(__file__).parent / "results"
    write(json.loads((results / "cpu.json").read_text(encoding="utf-8")), results)
