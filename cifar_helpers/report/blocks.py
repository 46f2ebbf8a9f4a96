"""The blocks of the networks of notebook 02, as diagrams."""

from cifar_helpers.report import diagrams

BLOCKS = {
    "resnet": (
        {
            "x": (0.4, 0.6, "x", "data"),
            "a": (2, 0.6, "3x3 conv\nnorm, relu", "layer"),
            "b": (4, 0.6, "3x3 conv\nnorm", "layer"),
            "+": (5.6, 0.6, "+", "merge"),
            "relu": (6.6, 0.6, "relu", "layer"),
            "y": (7.6, 0.6, "y", "data"),
        },
        "x>a>b>+>relu>y x>+:-0.28",
        (8, 2),
    ),
    "resnext": (
        {
            "x": (0.4, 1, "x", "data"),
            "in": (1.7, 1, "1x1 conv\nnorm, relu", "layer"),
            "1": (3.4, 1.55, "3x3 conv, 4 channels (1)", "layer"),
            "...": (3.4, 1, "...", "layer"),
            "32": (3.4, 0.45, "3x3 conv, 4 channels (32)", "layer"),
            "out": (5.1, 1, "norm, relu\n1x1 conv\nnorm", "layer"),
            "+": (6.2, 1, "+", "merge"),
            "relu": (6.9, 1, "relu", "layer"),
            "y": (7.7, 1, "y", "data"),
        },
        "x>in>1>out>+>relu>y in>...>out in>32>out x>+:-0.36",
        (8, 2.6),
    ),
    "dpn": (
        {
            "r": (0.7, 1.6, "residual path", "data"),
            "d": (0.7, 0.4, "dense path", "data"),
            "both": (2.1, 1, "append", "merge"),
            "f": (3.7, 1, "1x1 conv\n3x3 conv, 32 groups\n1x1 conv", "layer"),
            "+": (5.4, 1.6, "+", "merge"),
            "cat": (5.4, 0.4, "append", "merge"),
            "r2": (7.2, 1.6, "residual path", "data"),
            "d2": (7.2, 0.4, "dense path, wider", "data"),
        },
        "r>both d>both>f>+>r2 f>cat>d2 r>+:-0.12 d>cat:0.12",
        (8, 2),
    ),
    "dla": (
        {
            "x": (0.4, 0.5, "x", "data"),
            "1": (1.6, 0.5, "block", "layer"),
            "2": (2.7, 0.5, "block", "layer"),
            "3": (4.8, 0.5, "block", "layer"),
            "4": (5.9, 0.5, "block", "layer"),
            "r1": (3.7, 1.2, "root", "merge"),
            "p": (1.6, 2, "block", "layer"),
            "r2": (6.9, 1.2, "root", "merge"),
            "y": (7.7, 1.2, "y", "data"),
        },
        "x>1>2>r1>3>4>r2>y 1>r1>r2 3>r2 x>p p>r2:-0.1",
        (8, 2.4),
    ),
    "densenet": (
        {
            "x0": (0.6, 0.5, "x0", "data"),
            "x1": (2.2, 0.5, "layer 1\n32 channels", "layer"),
            "x2": (3.8, 0.5, "layer 2\n32 channels", "layer"),
            "x3": (5.4, 0.5, "layer 3\n32 channels", "layer"),
            "cat": (6.5, 0.5, "append", "merge"),
            "t": (7.5, 0.5, "transition", "layer"),
        },
        "x0>x1>x2>x3>cat>t x0>x2:-0.3 x0>x3:-0.3 x0>cat:-0.3 x1>x3:-0.3 x1>cat:-0.3 x2>cat:-0.3",
        (8, 1.9),
    ),
}


def draw(name: str) -> None:
    """One of BLOCKS as pyplot's current figure, which a notebook shows at the end of the cell."""
    boxes, arrows, size = BLOCKS[name]
    diagrams.draw(boxes, arrows, size)
