"""The slider: its frames, its ids, its words, and that it moves in a browser."""

import re
import shutil

import numpy as np
import pytest

from rnnlib import plots

ALT = 'A line that rises; steep < "steeper" & steepest.'


def figures(count):
    drawn = []
    for k in range(count):
        figure, axis = plots.subplots(figsize=(3, 2))
        axis.plot([0, 1], [0, k])
        axis.imshow(np.full((2, 2), float(k)), extent=(0, 1, 0, 1))
        axis.set(xlabel=f"frame {k}")
        drawn.append(figure)
    return drawn


@pytest.fixture(scope="module")
def page():
    return plots.slider(figures(3), [0, 10, "<end>"], ALT, "step")._repr_html_()


def test_the_last_frame_stands_on_the_page_and_all_wait_in_templates(page):
    assert page.count("<template>") == 3
    plain = re.sub(r"<template>.*?</template>", "", page, flags=re.DOTALL)
    assert plain.count("<svg") == 1
    assert "(step: &lt;end&gt;)" in plain
    for label in ("(step: 0)", "(step: 10)"):
        assert page.count(label) == 1


def test_ids_are_unique_and_every_reference_has_its_id(page):
    ids = re.findall(r'\bid="([^"]+)"', re.sub(r"<div>.*?</div>", "", page, flags=re.DOTALL))
    assert len(ids) == len(set(ids)) > 10
    referred = re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', page)
    assert referred
    assert {a or b for a, b in referred} <= set(ids)


def test_two_sliders_of_a_page_share_no_id():
    first, second = (
        set(re.findall(r'\bid="([^"]+)"', plots.slider(figures(2), "ab", alt)._repr_html_()))
        for alt in ("one", "two")
    )
    assert first
    assert not first & second


def test_words_are_escaped(page):
    assert ALT not in page
    assert "<end>" not in page
    assert 'aria-label="A line that rises; steep &lt; &quot;steeper&quot; &amp; steepest."' in page


def test_the_frames_are_the_same_in_every_build(page):
    assert plots.slider(figures(3), [0, 10, "<end>"], ALT, "step")._repr_html_() == page


@pytest.mark.parametrize(
    ("count", "labels", "alt", "name", "message"),
    [
        (3, [1, 2], ALT, "step", r"labels: expected 3.*got 2"),
        (1, [1], ALT, "step", r"figures: expected at least two, got 1"),
        (2, [1, 2], " ", "step", r"alt: expected a sentence"),
        (2, [1, 2], ALT, "", r"name: expected a word"),
    ],
)
def test_what_is_refused(count, labels, alt, name, message):
    with pytest.raises(ValueError, match=message):
        plots.slider(figures(count), labels, alt, name)


BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)


@pytest.mark.browser
@pytest.mark.skipif(BROWSER is None, reason="found no Chromium or Google Chrome on the path")
@pytest.mark.parametrize("scripts", [True, False])
def test_the_slider_moves_and_without_scripts_the_last_frame_stands(page, tmp_path, scripts):
    playwright = pytest.importorskip("playwright.sync_api")
    html = f'<!doctype html><meta charset="utf-8"><title>t</title>{page}'
    (tmp_path / "page.html").write_text(html, encoding="utf-8")
    with playwright.sync_playwright() as p:
        browser = p.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        tab = browser.new_page(
            java_script_enabled=scripts, viewport={"width": 390, "height": 800}, offline=True
        )
        problems = []
        tab.on("pageerror", lambda error: problems.append(str(error)))
        tab.goto((tmp_path / "page.html").as_uri())
        assert tab.locator("svg").count() == 1
        assert "<end>" in tab.locator("svg").get_attribute("aria-label")
        control = tab.locator("input[type=range]")
        assert control.is_visible() == scripts
        if scripts:
            assert tab.get_by_label("step", exact=True).count() == 1
            control.focus()
            for key, label in (("ArrowLeft", "10"), ("Home", "0"), ("End", "<end>")):
                tab.keyboard.press(key)
                assert f"(step: {label})" in tab.locator("svg").get_attribute("aria-label")
                assert tab.locator("output").inner_text() == label
                assert control.get_attribute("aria-valuetext") == label
            width = tab.evaluate("document.documentElement.scrollWidth")
            assert width <= 390, width
        browser.close()
        assert problems == []
