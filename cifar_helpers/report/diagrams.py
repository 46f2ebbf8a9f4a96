"""Boxes and arrows as a figure."""

import matplotlib.pyplot as plt

COLOURS = {"layer": "#cfe2f3", "merge": "#fce5cd", "data": "#eeeeee"}


def draw(boxes: dict, arrows: str, size: tuple[float, float] = (8, 2)) -> None:
    """Boxes joined by arrows, as pyplot's current figure, which a notebook shows at the end of the cell.

    boxes: name -> (x, y, text, kind), kind one of "layer", "merge", "data"; one unit of x or y is about an inch of
    `size`. arrows: chains of names, "x>a>b x>b:-0.3"; a bend above 0 curves to the right of the arrow's direction.
    """
    _, axis = plt.subplots(figsize=size, layout="constrained")
    axis.set(xlim=(0, size[0]), ylim=(0, size[1]))
    axis.axis("off")
    patches = {}
    for name, (x, y, text, kind) in boxes.items():
        style = {"boxstyle": "circle" if kind == "merge" else "round", "facecolor": COLOURS[kind], "edgecolor": "0.3"}
        label = axis.text(x, y, text, ha="center", va="center", fontsize=9, bbox=style)
        patches[name] = label.get_bbox_patch()
    for start, end, bend in _arrows(arrows):
        arrow = {
            "arrowstyle": "-|>",
            "color": "0.3",
            "patchA": patches[start],
            "patchB": patches[end],
            "shrinkA": 0,
            "shrinkB": 1,
            "connectionstyle": f"arc3,rad={bend}",
        }
        axis.annotate("", xy=boxes[end][:2], xytext=boxes[start][:2], arrowprops=arrow)


def _arrows(text: str) -> list[tuple[str, str, float]]:
    """Chains of names, separated by blanks, with a bend behind a colon: "x>a>b x>b:-0.3"."""
    arrows = []
    for chain in text.split():
        path, _, bend = chain.partition(":")
        names = path.split(">")
        arrows += [(start, end, float(bend or 0)) for start, end in zip(names, names[1:])]
    return arrows
