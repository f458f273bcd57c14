"""Plots: PNG files that are complete or absent, and figures with the expected content."""

import subprocess
import sys

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from apps.sentiment.metrics import classification_scores
from seqmodels.evaluation import attention_plots, bar_plots, classification_plots, curve_plots, plots

pytestmark = pytest.mark.filterwarnings("error::UserWarning", "error::RuntimeWarning")

HISTORY = [
    {
        "epoch": epoch,
        "loss": 1 / epoch,
        "valid_loss": 1.2 / epoch,
        "valid_accuracy": 1 - 0.5 / epoch,
        "accuracy": 1 - 0.4 / epoch,
        "learning_rate": 1e-3 / epoch,
        "gradient_norm": 2.0 + epoch,
        "seconds": 3.0,
    }
    for epoch in range(1, 13)
]
CONFUSION = [[9, 1, 0], [2, 5, 1], [0, 0, 0]]
CLASSES = ("negative", "neutral", "positive")
CALIBRATION = [
    {"lower": 8 / 15, "upper": 9 / 15, "confidence": 0.57, "accuracy": 0.5, "count": 2},
    {"lower": 12 / 15, "upper": 13 / 15, "confidence": 0.83, "accuracy": 1.0, "count": 2},
]
ATTENTION = np.array([[0.9, 0.1, 0.0], [0.2, 0.3, 0.5]])
GROUPS = [{"name": "1 to 5", "count": 7, "bleu": 40.0}, {"name": "from 6", "count": 3, "bleu": 31.5}]
PANELS = [
    plots.Panel("flow", "steps", "norm", [plots.Curve("a", [0, 1, 2], [1.0, 0.1, 0.01])], log="y"),
    plots.Panel(
        "loss",
        "w",
        "b",
        [plots.Curve("b", [0, 1], [0, 1], "o-"), plots.Curve("a", [0, 1], [1, 0])],
        limits=(0, 1),
        surface=([0, 1], [0, 1], [[0, 1], [1, 2]]),
    ),
]
BARS = {"bag": [0.5, 0.6], "recurrent": [0.9, 0.8]}
DRAWINGS = {
    "curves": lambda path: plots.curves(PANELS, path, "Curves"),
    "bars": lambda path: plots.bars(["order", "length"], BARS, path, "Bars", "accuracy", chance=0.5),
    "attention_map": lambda path: plots.attention_map(ATTENTION, ["a", "$b", "."], ["c", "d"], path),
    "score_by_group": lambda path: plots.score_by_group(GROUPS, "bleu", "words", path),
    "learning_curve": lambda path: plots.learning_curve(HISTORY, path, best_epoch=7),
    "confusion_matrix": lambda path: plots.confusion_matrix(CONFUSION, CLASSES, path),
    "reliability_diagram": lambda path: plots.reliability_diagram(CALIBRATION, path),
}
each_drawing = pytest.mark.parametrize("draw", DRAWINGS.values(), ids=DRAWINGS.keys())


def texts(figure: Figure) -> set[str]:
    return {text.get_text() for text in figure.findobj(Text) if text.get_text()}


def labels(figure: Figure) -> list[str]:
    return [axes.get_ylabel() for axes in figure.axes]


def curves(figure: Figure, panel: int) -> dict[str, np.ndarray]:
    """Returns the values of the lines in one panel, by the name in the legend."""
    return {str(line.get_label()): np.asarray(line.get_ydata()) for line in figure.axes[panel].lines}


@each_drawing
def test_the_file_is_a_small_png(draw, tmp_path):
    path = draw(tmp_path / "plot.png")
    assert path == tmp_path / "plot.png"
    with Image.open(path) as image:
        assert image.format == "PNG"
        assert min(image.size) >= 400
        assert len(np.unique(np.asarray(image.convert("L")))) > 10
    assert path.stat().st_size < 100_000
    assert [entry.name for entry in tmp_path.iterdir()] == ["plot.png"]


@each_drawing
def test_a_failed_write_keeps_the_old_file(draw, tmp_path, monkeypatch):
    path = tmp_path / "plot.png"
    path.write_bytes(b"the old picture")

    def save_half(_image, target, **_options):
        target.write_bytes(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr(Image.Image, "save", save_half)
    with pytest.raises(OSError, match="No space left"):
        draw(path)
    assert path.read_bytes() == b"the old picture"
    assert [entry.name for entry in tmp_path.iterdir()] == ["plot.png"]


@each_drawing
def test_a_reader_of_the_old_file_sees_its_whole_content(draw, tmp_path):
    path = tmp_path / "plot.png"
    path.write_bytes(b"the old picture")
    with path.open("rb") as reader:
        draw(path)
        assert reader.read() == b"the old picture"


def test_drawing_needs_neither_pyplot_nor_tensorflow(tmp_path):
    program = f"""
import sys
from seqmodels.evaluation import plots
plots.confusion_matrix({CONFUSION!r}, {CLASSES!r}, {str(tmp_path / "plot.png")!r})
print(*{{"matplotlib.pyplot", "tensorflow", "keras", "sklearn"}} & set(sys.modules))
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout == "\n"
    assert (tmp_path / "plot.png").exists()


def test_learning_curve_has_a_panel_per_quantity_and_marks_the_best_epoch():
    figure = curve_plots.draw_learning_curve(HISTORY, best_epoch=7)
    assert labels(figure) == ["loss", "accuracy", "learning rate", "gradient norm"]
    assert figure.axes[-1].get_xlabel() == "epoch"
    assert {"Learning curve", "training", "validation", "best epoch (7)"} <= texts(figure)
    drawn = curves(figure, panel=1)
    np.testing.assert_array_equal(drawn["training"], [row["accuracy"] for row in HISTORY])
    np.testing.assert_array_equal(drawn["validation"], [row["valid_accuracy"] for row in HISTORY])
    np.testing.assert_array_equal(drawn["best epoch (7)"], [0, 1])  # the whole height of the panel


def test_values_that_are_missing_leave_a_gap():
    history = [dict(row) for row in HISTORY]
    del history[1]["valid_loss"]
    history[3]["valid_loss"] = float("nan")
    figure = curve_plots.draw_learning_curve(history, best_epoch=None)
    drawn = curves(figure, panel=0)
    assert np.flatnonzero(np.isnan(drawn["validation"])).tolist() == [1, 3]
    assert np.isfinite(drawn["training"]).all()
    assert set(drawn) == {"training", "validation"}


def test_constant_learning_rate_and_single_values_have_no_panel():
    history = [
        {"epoch": epoch, "loss": 1 / epoch, "learning_rate": 0.1, "gradient_norm": float(epoch)}
        for epoch in (1, 2)
    ]
    assert labels(curve_plots.draw_learning_curve(history, best_epoch=None)) == ["loss", "gradient norm"]
    figure = curve_plots.draw_learning_curve(history[:1], best_epoch=None)
    assert labels(figure) == ["loss"]
    assert "1" in {text.get_text() for text in figure.axes[0].texts}  # the value next to its point


def test_a_quantity_of_validation_alone_has_a_panel():
    history = [{"epoch": 1, "loss": 2.0, "valid_loss": 2.1, "valid_f1": 0.5}]
    figure = curve_plots.draw_learning_curve(history, best_epoch=None)
    assert labels(figure) == ["loss", "f1"]
    assert set(curves(figure, panel=1)) == {"validation"}


@pytest.mark.parametrize(
    "history",
    [
        HISTORY[:1],
        [{"epoch": 1, "loss": 0.5}],
        [{"epoch": epoch, "loss": float("nan"), "valid_loss": float("inf")} for epoch in (1, 2)],
    ],
    ids=["one epoch", "no validation", "nothing finite"],
)
def test_short_and_broken_histories_are_drawn(history, tmp_path):
    assert plots.learning_curve(history, tmp_path / "plot.png", best_epoch=1).stat().st_size > 1000


def test_an_empty_history_is_refused(tmp_path):
    with pytest.raises(ValueError, match="at least one epoch"):
        plots.learning_curve([], tmp_path / "plot.png")
    assert not list(tmp_path.iterdir())


def test_confusion_matrix_writes_counts_shares_and_names():
    figure = classification_plots.draw_confusion_matrix(CONFUSION, CLASSES)
    assert {"true class", "predicted class", *CLASSES} <= texts(figure)
    assert "14 of 18 correct (accuracy 77.8%)" in figure.axes[0].get_title()
    cells = {text.get_position(): text.get_text() for text in figure.axes[0].texts}
    assert cells[0, 0] == "9\n90.0%"
    assert cells[0, 1] == "2\n25.0%"  # column 0 of row 1: predicted negative, truly neutral
    assert cells[2, 1] == "1\n12.5%"
    assert [cells[column, 2] for column in range(3)] == ["0", "0", "0"]


def test_class_names_are_plain_text_and_differ_when_shortened():
    names = ["$\\frac{$", "x_1^$2$", "a line\nbreak", *(f"{'very ' * 20}long name {i}" for i in (1, 2))]
    figure = classification_plots.draw_confusion_matrix(np.eye(5, dtype=int), names)
    FigureCanvasAgg(figure).draw()  # raises if a name is parsed as a bad formula
    ticks = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert ticks[:3] == ["$\\frac{$", "x_1^$2$", "a line break"]
    assert ticks[3] != ticks[4]
    assert max(map(len, ticks)) <= 18


@pytest.mark.parametrize(("size", "annotated"), [(2, True), (20, True), (60, False), (400, False)])
def test_confusion_matrix_stays_readable_and_small_with_many_classes(size, annotated):
    names = [f"class {i}" for i in range(size)]
    figure = classification_plots.draw_confusion_matrix(np.full((size, size), 3), names)
    axes = figure.axes[0]
    assert len(axes.texts) == (size * size if annotated else 0)
    assert ("fraction of the true class" in labels(figure)) is not annotated
    assert len(axes.get_xticks()) <= 60
    assert max(figure.get_size_inches()) <= 13


@pytest.mark.parametrize("confusion", [[[1, 2]], [[1, 2], [3, 4]], []])
def test_a_confusion_matrix_must_fit_its_classes(confusion):
    with pytest.raises(ValueError, match=r"must have the shape \(3, 3\) for 3 class names"):
        classification_plots.draw_confusion_matrix(confusion, CLASSES)


def test_reliability_diagram_draws_accuracy_gap_and_histogram():
    figure = classification_plots.draw_reliability_diagram(CALIBRATION)
    reliability, histogram = figure.axes
    accuracy, gap = ([bar.get_height() for bar in bars] for bars in reliability.containers)
    assert accuracy == [0.5, 1.0]
    assert gap == pytest.approx([0.07, -0.17])
    assert [bar.get_height() for bar in histogram.containers[0]] == [0.5, 0.5]
    assert {"accuracy (fraction correct)", "confidence (probability of the predicted class)"} <= texts(figure)
    assert {"accuracy", "gap (confidence - accuracy)", "perfectly calibrated"} <= texts(figure)


def test_reliability_diagram_shows_the_calibration_error_of_the_scores():
    generator = np.random.default_rng(2)
    probabilities = generator.dirichlet(np.ones(3), size=300)
    scores = classification_scores(probabilities, generator.integers(0, 3, 300), CLASSES)
    title = classification_plots.draw_reliability_diagram(scores["calibration"]).axes[0].get_title()
    assert f"300 examples, expected calibration error {scores['calibration_error']:.3f}" in title


def test_attention_map_shows_the_words():
    figure = attention_plots.draw_attention_map(ATTENTION, ["a", "$b", "."], ["c", "d"])
    assert {"a", "$b", ".", "c", "d"} <= texts(figure)
    np.testing.assert_array_equal(figure.axes[0].images[0].get_array(), ATTENTION)
    with pytest.raises(ValueError, match=r"\(3, 3\) for 3 target and 3 source words; got \(2, 3\)"):
        attention_plots.draw_attention_map(ATTENTION, ["a", "b", "c"], ["d", "e", "f"])


def test_groups_show_score_and_count():
    figure = bar_plots.draw_score_by_group(GROUPS, "bleu", "words")
    heights = [[bar.get_height() for bar in axes.patches] for axes in figure.axes]
    assert heights == [[40.0, 31.5], [7.0, 3.0]]
    assert labels(figure) == ["BLEU", "number of examples"]


def test_curves_of_one_name_share_a_colour_and_a_legend_entry():
    figure = curve_plots.draw_curves(PANELS, "Curves")
    (first,), (other, same) = (axes.lines for axes in figure.axes)
    assert first.get_color() == same.get_color() != other.get_color()
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["a", "b"]
    assert [axes.get_yscale() for axes in figure.axes] == ["log", "linear"]
    assert figure.axes[1].get_ylim() == (0, 1)
    assert {"Curves", "flow", "loss", "steps", "norm"} <= texts(figure)


def test_curves_need_a_panel():
    with pytest.raises(ValueError, match="at least one"):
        curve_plots.draw_curves([], "")


@pytest.mark.parametrize("count", [1, 2, 4, 5])
def test_there_are_no_axes_without_a_panel(count):
    assert len(curve_plots.draw_curves(PANELS[:1] * count, "").axes) == count


def test_bars_of_a_group_are_side_by_side():
    (axes,) = bar_plots.draw_bars(["order", "length"], BARS, "Bars", "accuracy", 0.5).axes
    for drawn, values in zip(axes.containers, BARS.values()):
        assert [bar.get_height() for bar in drawn] == values
    places = [bar.get_x() for drawn in axes.containers for bar in drawn]
    assert len(set(places)) == 4
    assert axes.lines[0].get_ydata()[0] == 0.5


def test_bars_need_one_value_per_group():
    with pytest.raises(ValueError, match="series 'bag' must have 1 values, one per group; got 2"):
        bar_plots.draw_bars(["order"], BARS, "", "", None)
