"""The legend of a chart as HTML."""

from html.parser import HTMLParser

from sweeps.charts.canvas import Chart, text
from sweeps.charts.legend import group_of, legend


class Buttons(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.groups: list[str | None] = []
        self.said = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in ("div", "button", "svg", "path", "g", "circle", "rect")
        if tag == "button":
            self.groups.append(dict(attrs)["data-group"])

    def handle_data(self, data: str) -> None:
        self.said += data


def chart(*names: str) -> Chart:
    found = Chart("title", "caption", {})
    for name in names:
        found.scatter([1], [1], mode="lines+markers", name=text(name), legendgroup=text(name),
                      line={"color": "#000", "dash": "dot"}, marker={"symbol": "square"})
        found.scatter([1], [1], mode="lines", legendgroup=text(name))
    return found


def test_each_named_trace_is_one_button_and_bands_are_none() -> None:
    found = Buttons(legend(chart("a", "b")))
    assert (found.groups, found.said) == (["a", "b"], "ab")


def test_a_button_finds_the_traces_it_toggles_whatever_they_are_called() -> None:
    hostile = '<b> & "x" &amp;'
    drawn = chart(hostile, "b")
    assert Buttons(legend(drawn)).groups[0] == group_of(drawn.traces[0]) == group_of(drawn.traces[1])
    assert Buttons(legend(drawn)).said == hostile + "b"


def test_one_curve_needs_no_legend() -> None:
    assert legend(chart("a")) == ""
