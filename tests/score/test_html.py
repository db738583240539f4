"""The HTML report: what it holds, and that nothing in it can act."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest

from asr_ligru.safety import printable
from asr_ligru.score.commands import report_folders
from asr_ligru.score.markup import Markup, element

TAGS = set(
    "html head meta title style body main section h1 h2 p div table thead tbody tr th td figure svg g line circle text "
    "polyline rect details summary span bdi del ins ul li code a".split()
)
ATTRIBUTES = set(
    "lang charset http-equiv content name class viewbox role aria-label x y x1 x2 y1 y2 cx cy r points "
    "text-anchor width height href".split()
)
PIECES = ["<script>", "</script>", "<img src=x onerror=alert(1)>", '"', "'", ">", "<", "&lt;", "&#60;", "]]>", "<!--"]
PIECES += ["</td>", "</style>", " onload=x ", "javascript:", "\u05db\u05df", "`", "{{", "\x1b[2J", "\u202e", "\x00"]


class Page(HTMLParser):
    """Every element, attribute and text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: set[str] = set()
        self.attributes: dict[str, list[str]] = {}
        self.texts: list[str] = []
        self.comments: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for name, value in attrs:
            self.attributes.setdefault(name, []).append(value or "")

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def handle_comment(self, data: str) -> None:
        self.comments.append(data)


def test_element_thousand_payloads_stay_text() -> None:
    rng = random.Random(11)
    for _ in range(1_000):
        payload = "".join(rng.choices(PIECES, k=rng.randint(1, 6)))
        page = Page(element("p", payload, class_=payload))
        assert (page.tags, page.comments) == ({"p"}, [])
        assert "".join(page.texts) == printable(payload)
        assert page.attributes == {"class": [printable(payload)]}


def test_element_markup_is_not_escaped_twice() -> None:
    assert element("p", element("b", "<"), " & ") == "<p><b>&lt;</b> &amp; </p>"
    assert isinstance(element("p"), Markup)


@pytest.fixture
def hostile_page(make_run: Callable[..., Path], tmp_path: Path) -> Page:
    payload = "<script>alert('1')</script>\"><img src=x onerror=alert(1)>&lt;\x1b[2J\u202e"
    refs = {f"{payload}{n}": f"{payload} b c" for n in range(12)}
    hyps = dict.fromkeys(refs, "x b")
    make_run(name="0", texts=(refs, hyps))
    for number, key in enumerate(("cell", "features", "tokens", "corpus", "commit", "command", "hardware"), 1):
        make_run(name=str(number), texts=(refs, hyps), **{key: payload})
    make_run(name="<img src=x>", status=payload)
    return Page(report_folders([tmp_path], "html", baseline="ligru"))


def test_render_html_hostile_texts_make_no_element(hostile_page: Page) -> None:
    assert hostile_page.tags <= TAGS
    assert set(hostile_page.attributes) <= ATTRIBUTES
    assert hostile_page.comments == []
    assert sum("<script>alert('1')</script>" in text for text in hostile_page.texts) >= 10
    assert not any(c in text for text in hostile_page.texts for c in "\x1b\u202e")


def test_render_html_loads_nothing(make_run: Callable[..., Path], tmp_path: Path) -> None:
    make_run()
    text = report_folders([tmp_path], "html")
    page = Page(text)
    assert "default-src 'none'; style-src 'unsafe-inline'" in page.attributes["content"]
    assert not {"href", "src", "style", "onload"} & set(page.attributes)  # no manifest, so no links to audio
    assert "url(" not in text
    assert "@import" not in text


def test_render_html_shows_table_charts_and_errors(make_run: Callable[..., Path], tmp_path: Path) -> None:
    make_run("ligru", hidden_size=256)
    make_run("gru", rate=0.2, hidden_size=512)
    text = report_folders([tmp_path], "html")
    assert text.count("<svg") == 4
    assert text.count("<polyline") == 2
    for expected in ("Errors of ligru fbank char, seed 1", "Settings that differ", "cell.hidden_size", "0.0123"):
        assert expected in text


@pytest.mark.parametrize("broken", ["hyp.jsonl", "metrics.jsonl"])
def test_render_html_unreadable_part_is_said(make_run: Callable[..., Path], tmp_path: Path, broken: str) -> None:
    (make_run() / broken).write_text("{\n", encoding="utf-8")
    assert f"{broken}" in report_folders([tmp_path], "html")


@pytest.mark.parametrize("record", [{"epoch": 1}, {"epoch": 1, "dev_wer": float("nan")}, {"dev_wer": "x"}, {}])
def test_render_html_curve_without_points_is_left_out(
    make_run: Callable[..., Path], tmp_path: Path, record: dict[str, object]
) -> None:
    (make_run() / "metrics.jsonl").write_text(json.dumps(record) + "\n", encoding="utf-8")
    assert "<polyline" not in report_folders([tmp_path], "html")


def test_render_html_perfect_scores_and_unknown_sizes_still_draw(make_run: Callable[..., Path], tmp_path: Path) -> None:
    make_run(rate=0.0, parameters=None, train_s=0.0)
    assert "0.00" in report_folders([tmp_path], "html")


def add_manifest(run: Path, corpus: Path, audio: str) -> None:
    """Write the manifest of a run's test set, its utterances being of two speakers."""
    config = json.loads((run / "config.json").read_text(encoding="utf-8"))
    config["corpus"]["dir"] = corpus.name
    (run / "config.json").write_text(json.dumps(config), encoding="utf-8")
    corpus.mkdir(exist_ok=True)
    refs = [json.loads(line) for line in (run / "hyp.jsonl").read_text(encoding="utf-8").splitlines()]
    lines = [
        {
            "id": r["id"],
            "audio_filepath": audio,
            "duration": 1.0,
            "text": r["ref"],
            "speaker": f"<b>s{n % 2}</b>",
            "snr_db": n % 9,
        }
        for n, r in enumerate(refs)
    ]
    (corpus / "test.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


def test_render_html_with_manifest_has_speakers_and_links_to_audio(
    make_run: Callable[..., Path], tmp_path: Path
) -> None:
    add_manifest(make_run(name="exp/a", rate=0.3), tmp_path / "corpus", "wav/a b.wav")
    report_folders([tmp_path], "html", tmp_path / "exp" / "report.html")
    page = Page((tmp_path / "exp" / "report.html").read_text(encoding="utf-8"))
    assert any("WER of each speaker" in text for text in page.texts)
    assert {"<b>s1</b>", "5 to 10 dB"} <= set(page.texts)
    assert set(page.attributes["href"]) == {"./../corpus/wav/a%20b.wav"}


def test_render_html_hostile_audio_paths_are_relative_links(make_run: Callable[..., Path], tmp_path: Path) -> None:
    add_manifest(make_run(rate=0.3), tmp_path / "corpus", "javascript:alert(1)//<img src=x>\"'")
    report_folders([tmp_path], "html", tmp_path / "corpus" / "r.html")
    page = Page((tmp_path / "corpus" / "r.html").read_text(encoding="utf-8"))
    assert set(page.attributes["href"]) == {"./javascript%3Aalert%281%29/%3Cimg%20src%3Dx%3E%22%27"}
    assert page.tags <= TAGS


def test_render_html_confusion_matrix_counts_what_was_heard(make_run: Callable[..., Path], tmp_path: Path) -> None:
    make_run(texts=({"a": "m n m", "b": "n"}, {"a": "n n m", "b": "m"}))
    text = report_folders([tmp_path], "html")
    assert '<th>m</th><td class="num right">1</td><td class="num h4">1</td>' in text


def test_render_html_runs_under_way_have_curves(make_run: Callable[..., Path], tmp_path: Path) -> None:
    make_run(finished=False)
    assert report_folders([tmp_path], "html").count("<polyline") == 1
