"""Every page of the built site in headless Chromium, with no other host in reach."""

import re
import shutil
import threading
from functools import partial
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

import pytest

yaml = pytest.importorskip("yaml", reason="PyYAML reads the table of contents")

ROOT = Path(__file__).resolve().parent.parent
HTML = ROOT / "_build" / "html"
CONFIG = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
# The site is served where it stands when published: its 404 page needs that path.
PREFIX = CONFIG["sphinx"]["config"]["notfound_urls_prefix"]
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
).split()
WIDTHS = {"desktop": 1200, "phone": 390}


def pages_of(entry):
    """Every page named in a table of contents."""
    if isinstance(entry, list):
        return [page for item in entry for page in pages_of(item)]
    own = [entry[key] for key in ("root", "file") if key in entry]
    return own + pages_of([value for value in entry.values() if isinstance(value, list)])


PAGES = pages_of(yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8")))
NOTEBOOKS = [page for page in PAGES if (ROOT / f"{page}.ipynb").exists()]
ALL_PAGES = [*PAGES, "search", "404"]

built = pytest.mark.skipif(
    not (HTML / "index.html").exists(), reason="the site is not built: run `make book`"
)


class SiteHandler(SimpleHTTPRequestHandler):
    def translate_path(self, path):
        inside = path[len(PREFIX) - 1 :] if path.startswith(PREFIX) else "/not-under-the-prefix"
        return super().translate_path(inside)

    def log_message(self, *args):
        pass


@pytest.fixture(scope="session")
def site():
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(SiteHandler, directory=str(HTML)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}{PREFIX}"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="session")
def browser():
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright drives the browser")
    executable = next(filter(None, map(shutil.which, BROWSERS)), None)
    if executable is None:
        pytest.skip(f"no browser on this machine: none of {', '.join(BROWSERS)}")
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=executable, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def visit(browser):
    """Open an address; whatever goes wrong there is in the page's list `problems`."""
    contexts = []

    def open_page(url, width=1200, theme="light"):
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=theme, service_workers="block"
        )
        contexts.append(context)
        page = context.new_page()
        page.problems = watch(page, allowed=url_base(url))
        page.goto(url, wait_until="load")
        wait_for_mathematics(page)
        return page

    yield open_page
    for context in contexts:
        context.close()


def url_base(url):
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}/"


def watch(page, allowed):
    problems = []

    def decide(route):
        address = route.request.url
        if address.startswith((allowed, "data:", "blob:")):
            route.continue_()
        else:
            problems.append(f"asked another host for {address}")
            route.abort()

    def on_console(message):
        if message.type == "error":
            problems.append(f"console: {message.text}")

    def on_response(response):
        if response.status >= 400:
            problems.append(f"status {response.status}: {response.url}")

    page.route("**/*", decide)
    page.on("console", on_console)
    page.on("pageerror", lambda error: problems.append(f"script error: {error}"))
    page.on("requestfailed", lambda request: problems.append(f"failed: {request.url}"))
    page.on("response", on_response)
    return problems


def wait_for_mathematics(page):
    """Wait until MathJax, where a page loads it, has set all it will set."""
    if page.locator("script[src*=mathjax]").count():
        page.wait_for_function("window.MathJax && MathJax.startup && MathJax.startup.promise")
        page.evaluate("() => MathJax.startup.promise.then(() => true)")


def sideways_overflow(page):
    """Pixels by which the page is wider than the window, and what sticks out."""
    return page.evaluate(
        """() => {
          const root = document.documentElement;
          const over = root.scrollWidth - root.clientWidth;
          if (over <= 0) return null;
          const wide = [...document.querySelectorAll('main *')]
            .filter(e => e.getBoundingClientRect().right > root.clientWidth + 1)
            .slice(0, 5).map(e => e.tagName + '.' + e.getAttribute('class'));
          return `${over} px too wide: ${wide.join(', ')}`;
        }"""
    )


def set_theme(page, theme):
    page.evaluate("theme => { document.documentElement.dataset.theme = theme }", theme)


# Pages in the browser ---------------------------------------------------------------------


@built
@pytest.mark.browser
@pytest.mark.parametrize("name", ALL_PAGES)
def test_page_opens_clean_on_every_width_and_theme(visit, site, name):
    for device, width in WIDTHS.items():
        page = visit(f"{site}{name}.html", width=width)
        for theme in ("light", "dark"):
            set_theme(page, theme)
            assert sideways_overflow(page) is None, f"{device}, {theme}"
        assert page.problems == [], device


@built
@pytest.mark.browser
@pytest.mark.parametrize("name", PAGES)
def test_mathematics_is_typeset(visit, site, name):
    page = visit(f"{site}{name}.html")
    marked = page.locator(".math").count()
    typeset = page.locator(".math mjx-container").count()
    errors = page.locator("mjx-merror, [data-mjx-error], [data-mml-node=merror]")
    wrong = [node.inner_text() for node in errors.all()]
    assert wrong == []
    assert typeset == marked


@built
@pytest.mark.browser
@pytest.mark.parametrize("name", PAGES)
def test_pictures_have_words(visit, site, name):
    page = visit(f"{site}{name}.html")
    silent = page.evaluate(
        """() => {
          const images = [...document.querySelectorAll('article img')]
            .filter(e => !(e.getAttribute('alt') || '').trim() || /\\.(png|svg)$/.test(e.alt));
          const drawings = [...document.querySelectorAll('article svg')]
            .filter(e => !e.closest('mjx-container') && !e.closest('button, .sd-summary-icon'))
            .filter(e => e.getAttribute('aria-hidden') !== 'true')
            .filter(e => !(e.getAttribute('aria-label') || e.querySelector('title')));
          return [...images, ...drawings].map(e => e.outerHTML.slice(0, 120));
        }"""
    )
    assert silent == []


@built
@pytest.mark.browser
def test_dark_theme_can_be_chosen(visit, site):
    page = visit(f"{site}index.html", theme="dark")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    before = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.locator("button.theme-switch-button:visible").first.click()
    page.wait_for_function("document.documentElement.dataset.mode !== 'auto'")
    set_theme(page, "light")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != before


@built
@pytest.mark.browser
@pytest.mark.parametrize("paper", ["A4", "Letter"])
def test_the_card_of_rules_prints_on_one_sheet(visit, site, paper):
    page = visit(f"{site}chapters/rules-card.html")
    assert page.locator("article table tr").count() == 13
    sheets = re.findall(rb"/Type\s*/Page[^s]", page.pdf(format=paper))
    assert len(sheets) == 1


@built
@pytest.mark.browser
def test_a_mark_leads_to_the_ledger_and_back(visit, site):
    page = visit(f"{site}chapters/11-differentials.html")
    page.locator("p.proved a").first.click()
    page.wait_for_url("**/ledger.html#ledger-eq-*")
    entry = page.locator(".ledger-entry:target")
    assert "Checked by" in entry.inner_text()
    entry.locator("a").first.click()
    page.wait_for_url("**/11-differentials.html#equation-eq-*")


@built
@pytest.mark.browser
def test_search_finds_a_word(visit, site):
    page = visit(f"{site}search.html?q=gradient")
    page.wait_for_selector("#search-results li a", timeout=10_000)
    assert page.locator("#search-results li a").count() > 0
    assert page.problems == []


@built
@pytest.mark.browser
@pytest.mark.parametrize("name", PAGES)
def test_page_opens_from_the_disk(visit, name):
    page = visit((HTML / f"{name}.html").as_uri())
    assert page.problems == []
    assert page.locator("h1").count() >= 1
    assert page.locator(".math mjx-container").count() == page.locator(".math").count()


# Links, without a browser -----------------------------------------------------------------


class Anchors(HTMLParser):
    """The links of a page and the ids that links can point at."""

    def __init__(self, path):
        super().__init__()
        self.links, self.ids = [], set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.ids.update(filter(None, (given.get("id"), given.get("name"))))
        if tag == "a" and given.get("href"):
            self.links.append(given["href"])


@pytest.fixture(scope="session")
def anchors():
    return {path: Anchors(path) for path in HTML.rglob("*.html") if "_static" not in path.parts}


@built
@pytest.mark.parametrize("name", PAGES)
def test_links_inside_the_book_resolve(anchors, name):
    here = HTML / f"{name}.html"
    base = "http://book/" + here.relative_to(HTML).as_posix()
    broken = []
    for link in anchors[here].links:
        target = urlsplit(urljoin(base, link))
        if target.netloc != "book":
            continue
        path = HTML / unquote(target.path).lstrip("/")
        known = anchors[path].ids if path in anchors else set()
        if not path.exists() or (target.fragment and unquote(target.fragment) not in known):
            broken.append(link)
    assert broken == []


@built
@pytest.mark.parametrize("name", NOTEBOOKS)
def test_launch_buttons(anchors, name):
    repository = urlsplit(CONFIG["repository"]["url"]).path.strip("/")
    branch = CONFIG["repository"]["branch"]
    colab = f"https://colab.research.google.com/github/{repository}/blob/{branch}/{name}.ipynb"
    binder = f"https://mybinder.org/v2/gh/{repository}/{branch}?urlpath=lab/tree/{name}.ipynb"
    links = anchors[HTML / f"{name}.html"].links
    assert colab in links
    assert binder in links


@built
@pytest.mark.parametrize("name", PAGES)
def test_page_describes_itself(name):
    text = (HTML / f"{name}.html").read_text(encoding="utf-8")
    assert 'name="description"' in text
    assert 'property="og:title"' in text
