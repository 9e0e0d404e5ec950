"""Every page in a real browser: light and dark, wide and on a phone, by keyboard, and without script."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from tests.integration.web.browsing import LOOKS, PHONE, WIDE, WIDE_DARK, Opened
from tests.integration.web.world import ADMIN, ALICE, BOB, EVIL, Site

Open = Callable[..., Opened]


def list_pages(site: Site) -> dict[str, str]:
    """Paths of all pages, each with something on it."""
    builds = {f"build-{name}": f"/builds/{id_}" for name, id_ in site.builds.items()}
    return {
        "dashboard": "/", "builds": "/builds", "builds-failed": "/builds?state=failed&target=ports",
        "search": "/search?q=e", "packages": "/packages?target=ports", "package": "/packages/linux",
        "packages-bad": "/packages?target=ports&show=bad", "queued": "/queue", "running": "/queue?state=running",
        "blocked": "/queue?state=blocked", "hosts": "/hosts", "host": "/hosts/builder",
        "host-disabled": "/hosts/x86-ubc-03", "host-bad": "/hosts/rv-manda-02", "suites": "/suites",
        "suite": "/suites/trixie-local", "suite-private": "/suites/internal",
        "suite-packages": "/suites/ports/packages",
        "suite-history": "/suites/trixie-local/history", "suite-diff": "/suites/trixie-local/diff?old=3",
        "events": "/events", "events-type": "/events?type=suite.changed", "audit": "/audit", **builds,
        "composes": "/composes", "compose": "/composes/Site-13-20261127.0",
        "compose-all": "/composes/Site-13-20261127.0?show=all", "compose-doomed": "/composes/Site-13-20261127.1",
        "compose-evil": "/composes/" + "x" * 128 + "?show=all", "build-composed": "/builds/1",
    }  # fmt: skip


#: What is wrong with a page: sideways scrolling, no landmarks, controls without a name, times no machine reads.
FAULTS = """() => {
  const faults = [], root = document.documentElement;
  if (root.scrollWidth > root.clientWidth) faults.push(`scrolls sideways by ${root.scrollWidth - root.clientWidth}`);
  for (const one of ["header", "main", "nav[aria-label=Main]", "footer", "form[role=search]", "h1", "a.skip"])
    if (document.querySelectorAll(one).length !== 1) faults.push(`not one ${one}`);
  if (!root.lang || !document.title) faults.push("no language or title");
  const named = (e) => (e.labels && e.labels.length) || e.getAttribute("aria-label") || e.textContent.trim()
    || e.type === "hidden";
  for (const one of document.querySelectorAll("input, select, button, a")) if (!named(one)) faults.push(one.outerHTML);
  for (const one of document.querySelectorAll("time"))
    if (!/^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\dZ$/.test(one.dateTime) || !one.title.endsWith(" UTC"))
      faults.push(one.outerHTML);
  if (document.querySelector("[style], style, script:not([src])")) faults.push("inline style or script");
  const ids = [...document.querySelectorAll("[id]")].map((e) => e.id);
  if (new Set(ids).size !== ids.length) faults.push("an id twice");
  return faults;
}"""

#: Text whose contrast to what is behind it is under 4.5 (WCAG 2.2, 1.4.3).
PALE = """() => {
  const read = (c) => c.match(/[\\d.]+/g).map(Number);
  const light = (c) => {
    const [r, g, b] = c.map((v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const behind = (e) => { for (; e; e = e.parentElement) { const c = read(getComputedStyle(e).backgroundColor);
    if (c.length < 4 || c[3] === 1) return c.slice(0, 3); } return [255, 255, 255]; };
  const found = new Set();
  for (const one of document.querySelectorAll("body *")) {
    if (![...one.childNodes].some((n) => n.nodeType === 3 && n.data.trim()) || !one.checkVisibility()) continue;
    const [a, b] = [light(read(getComputedStyle(one).color).slice(0, 3)), light(behind(one))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) found.add(`${one.tagName}.${one.className}: ${ratio.toFixed(2)}`);
  }
  return [...found];
}"""


def test_every_page_is_whole_in_every_look(site: Site, open_as: Open, shots: Path | None) -> None:
    opened = open_as(site.session(ADMIN))
    found = {}
    for name, path in list_pages(site).items():
        page = opened.go(path)
        assert EVIL not in page.content(), path
        for look, how in LOOKS.items():
            page.set_viewport_size({"width": how.width, "height": how.height})
            page.emulate_media(color_scheme=how.scheme)
            if faults := [*page.evaluate(FAULTS), *page.evaluate(PALE)]:
                found[f"{path} {look}"] = faults
        for look, how in LOOKS.items() if shots is not None else ():  # a picture leaves a style of its own in the page
            page.set_viewport_size({"width": how.width, "height": how.height})
            page.emulate_media(color_scheme=how.scheme)
            page.screenshot(path=f"{shots}/{name}-{look}.png", full_page=True)
    assert found == {}


def test_the_dark_look_is_dark(site: Site, open_as: Open) -> None:
    ground = "() => getComputedStyle(document.body).backgroundColor.match(/[0-9]+/g).map(Number)"
    light = open_as(site.session(ADMIN), WIDE).go("/").evaluate(ground)
    dark = open_as(site.session(ADMIN), WIDE_DARK).go("/").evaluate(ground)
    assert min(light) > 240
    assert max(dark) < 40


def test_the_keyboard_reaches_the_content_the_search_and_every_place(site: Site, open_as: Open) -> None:
    page = open_as(site.session(ADMIN)).go("/")
    page.emulate_media(reduced_motion="reduce")  # else the link slides in, and is measured on its way
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    assert page.locator(".skip").bounding_box()["y"] >= 0, "it shows itself"  # type: ignore[index]
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('main') !== null"), "what follows is in the content"
    page.reload()
    reached, outlines = [], []
    for _ in range(15):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.textContent.trim() || document.activeElement.name"))
        outlines.append(page.evaluate("getComputedStyle(document.activeElement).outlineStyle"))
    assert reached[1:14] == [
        "deb-orchestrator", "q", "Search", "Log out test", "Dashboard", "Packages", "Builds", "Queue", "Hosts",
        "Suites", "Composes", "Events", "Audit",
    ]  # fmt: skip
    assert "none" not in outlines, "one sees where one is"
    page.locator("#q").focus()
    page.keyboard.type("openssl")
    page.keyboard.press("Enter")
    page.wait_for_url("**/packages/openssl")


def test_all_but_the_live_tail_works_without_script(site: Site, open_as: Open) -> None:
    opened = open_as(site.session(ADMIN), PHONE, java_script_enabled=False)
    page = opened.go("/builds")
    page.get_by_label("State").select_option("failed")
    page.get_by_role("button", name="Show").click()
    page.get_by_role("link", name="linux").first.click()
    page.wait_for_url("**/packages/linux")
    page.get_by_role("link", name="failed", exact=True).click()
    page.wait_for_url(re.compile(r".*/builds/\d+\?arch=riscv64$"))
    assert "Why it failed for riscv64" in page.content()
    page = opened.go("/hosts/arm-conova-01")
    page.get_by_label("Reason").fill("new disk")
    page.get_by_role("button", name="Disable it").click()
    assert "Disabled: new disk" in page.locator(".notice").inner_text()
    page.get_by_role("button", name="Enable it").click()
    assert page.locator(".notice").count() == 0
    page = opened.go("/hosts")
    page.get_by_label("Reason").fill("moving the rack")
    page.get_by_role("button", name="Start nothing new").click()
    assert "moving the rack" in page.locator(".notice").inner_text()
    assert "moving the rack" in opened.go("/queue").locator(".notice").inner_text()
    opened.go("/hosts").get_by_role("button", name="End the maintenance").click()
    assert opened.go("/").locator(".notice").count() == 0


def test_the_queue_says_why_each_waits(site: Site, open_as: Open) -> None:
    opened = open_as(site.session(ADMIN))
    row = opened.go("/queue?arch=amd64").get_by_role("row").filter(has_text="waiting2")
    assert "2 jobs are ahead of it; 1 agents may take it: builder" in row.inner_text()
    assert "x86-ubc-03 is not of the pool default" in row.inner_text()
    row = opened.go("/queue?state=blocked").get_by_role("row").filter(has_text="frotz")
    assert "libgone-dev (>= 2) cannot be had" in row.inner_text()
    row = opened.go("/queue?state=running").get_by_role("row").filter(has_text="openssl")
    assert "builder, attempt 1" in row.inner_text()


def test_the_matrix_has_a_cell_for_each_architecture(site: Site, open_as: Open) -> None:
    page = open_as(site.session(ADMIN)).go("/packages?target=ports")
    head = page.locator(".matrix thead th").all_inner_texts()
    assert head == ["Source", "Version", "amd64", "arm64", "riscv64"]
    rows = {
        row.locator("th").inner_text(): row.locator("td").all_inner_texts() for row in page.locator("tbody tr").all()
    }
    assert rows["linux"] == ["257.9-1~deb13u1", "uploaded", "uploaded", "failed"]
    assert rows["systemd"] == ["257.9-1~deb13u1", "installed", "installed", "installed"]
    bad = page.goto(f"{site.url}/packages?target=ports&show=bad")
    assert bad is not None
    assert page.locator("tbody th").all_inner_texts() == ["glibc", "linux"]


SECRETS = ("classified", "internal")


def test_what_is_private_is_on_no_page_of_those_who_may_not_read_it(site: Site, open_as: Open) -> None:
    opened = open_as(site.session(ALICE))
    hidden = (
        f"/builds/{site.builds['secret']}",
        "/packages/classified",
        "/suites/internal",
        "/suites/internal/history",
    )
    for name, path in list_pages(site).items():
        if path in hidden or name in ("audit", "build-secret", "suite-private"):
            continue
        answer = opened.page.request.get(f"{site.url}{path}")
        assert answer.status == 200, path
        assert not any(word in answer.text() for word in SECRETS), path
    text = opened.go("/search?q=classified").locator("main").inner_text()
    assert "Nothing has" in text
    request = opened.page.request
    for path in (*hidden, f"{hidden[0]}/amd64/log", f"{hidden[0]}/amd64/tail", "/suites/internal/diff?old=0"):
        assert request.get(f"{site.url}{path}").status == 404, path
    assert request.get(f"{site.url}/audit").status == 403
    assert opened.go("/packages?target=internal").locator(".matrix").count() == 0


def test_who_has_a_role_reads_it_and_who_is_no_admin_has_no_buttons(site: Site, open_as: Open) -> None:
    opened = open_as(site.session(BOB))
    assert "deb-orchestrator access apt internal" in opened.go("/suites/internal").locator("main").inner_text()
    assert "Who manages the suite" in opened.page.content()
    assert "classified" in opened.go("/builds").content()
    assert opened.go("/search?q=classified").url.endswith("/packages/classified")
    assert opened.go("/hosts/builder").get_by_role("button", name="Disable it").count() == 0
    csrf = opened.page.locator("input[name=csrf]").first.get_attribute("value")
    for path in ("/hosts/builder/disable", "/hosts/new-builder/approve", "/maintenance"):
        answer = opened.page.request.post(f"{site.url}{path}", form={"csrf": str(csrf), "reason": "mischief"})
        assert answer.status == 403, path
    forged = opened.page.request.post(f"{site.url}/builds/{site.builds['live']}/cancel", form={"csrf": "guess"})
    assert forged.status == 403
