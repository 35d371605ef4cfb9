"""Texts of messages: Markdown, mentions, and texts made to do harm."""

import time
from urllib.parse import urlsplit

from playwright.async_api import Locator, expect

from tests.browser.conftest import MARKS, Demos, People, Unique
from tests.browser.person import Person
from tests.browser.test_timeline import post

pytestmark = MARKS

#: The elements that a text may consist of.
ELEMENTS = {
    *("P", "DIV", "A", "STRONG", "EM", "S", "CODE", "PRE", "BLOCKQUOTE", "UL", "OL", "LI", "BDI", "BUTTON"),
}

#: What the bubbles consist of, and the attributes of it.
INSIDE = """
bubbles => bubbles.flatMap(bubble => [...bubble.querySelectorAll("*")]
  .filter(e => !e.matches("time, .author, .sr-only"))
  .map(e => [e.tagName, Object.fromEntries([...e.attributes].map(a => [a.name, a.value]))]))
"""

ATTRIBUTES = {"class", "dir", "href", "title", "target", "rel", "start", "type", "aria-expanded"}

HOSTILE = [
    "<script>document.title = 'taken'</script>",
    "<img src=x onerror=\"document.title = 'taken'\">",
    "<svg/onload=document.title='taken'>",
    "[click](javascript:document.title='taken')",
    "[click](JaVaScRiPt:document.title='taken')",
    "[click](&#106;avascript:document.title='taken')",
    "[click](java\tscript:document.title='taken')",
    "[click](<javascript:document.title='taken'>)",
    "[click](data:text/html,<script>document.title='taken'</script>)",
    "[click](vbscript:x)",
    "[click](//evil.example/x)",
    "[click](/roomDelete)",
    "![x](https://evil.example/track.png)",
    "[a]: javascript:alert(1)\n\n[a]",
    "<https://evil.example/\"onmouseover=\"document.title='taken'>",
    '[x](https://evil.example/"onmouseover="document.title=1)',
    '**<b onclick="x">** `<i>` ~~<u>~~',
    "```<script>\ndocument.title = 'taken'\n```",
    "<iframe src=javascript:alert(1)></iframe> *x*",
    "&lt;script&gt; &#60;script&#62; **x**",
    "\u202e**evil**\u202e",
]

#: How deep the elements of bubbles are.
DEPTH = """
bubbles => Math.max(...bubbles.flatMap(bubble => [...bubble.querySelectorAll("*")].map(e => {
  let depth = 0;
  for (let up = e; up !== bubble; up = up.parentElement) depth += 1;
  return depth;
})))
"""

#: Texts that make weak parsers deep, slow, or both.
DEEP = {
    "quotes": ">" * 4000,
    "quotes with gaps": "> " * 2000,
    "lists": "- " * 2000,
    "numbers": "1. " * 1300,
    "mixed": "> - " * 1000,
    "emphasis": "*a " * 1300,
    "more emphasis": "*" * 4000,
    "stars and underscores": "*_" * 2000,
    "brackets": "[" * 4000,
    "links in links": "[a](" * 1000,
    "open links": "[a](<" * 800,
    "backticks": "".join("`" * n + " " for n in range(1, 88)),
    "strikes": "~~a " * 1000,
    "backslashes": "\\" * 4000,
    "at signs": "@" * 4000,
    "addresses": "http://" * 570,
    "addresses with brackets": "https://a/(" * 360,
    "lines": "*\n" * 2000,
    "marks": "*" + "Z" + "\u0300" * 3990,
    "no letter": "\u0660" * 4000,
}


async def room_for_two(person: People, unique: Unique) -> tuple[Person, Person]:
    ann = await (await person(unique("Ann"))).login()
    bob = await (await person(unique("Bob"))).login()
    room = unique("Tea")
    await ann.create_room(room)
    await bob.open_room(room)
    return ann, bob


def newest(someone: Person) -> Locator:
    return someone.log.locator(".message").last.locator(".bubble")


async def test_markdown(person: People, unique: Unique) -> None:
    ann, bob = await room_for_two(person, unique)
    cases = {
        "**bold** and *slanted*": [("strong", "bold"), ("em", "slanted")],
        "~~gone~~ `a * b`": [("s", "gone"), ("code", "a * b")],
        "```python\nif a < b:\n    print(1)\n```": [("pre code", "if a < b:\n    print(1)")],
        "> said\n\nanswer": [("blockquote", "said"), (".markdown > p", "answer")],
        "- one\n- two": [("ul li", "one"), ("ul li + li", "two")],
        "3. three\n4. four": [("ol[start='3'] li", "three")],
        "# Title\ntext": [(".heading", "Title")],
        "[here](https://example.org/a_b)": [("a[href='https://example.org/a_b']", "here")],
        "**see https://example.org/**": [("strong a[href='https://example.org/']", "https://example.org/")],
        "one *line*\nand another": [("em", "line"), ("p", "one line\nand another")],
    }
    for text, expected in cases.items():
        await ann.say(text)
        for selector, content in expected:
            await expect(newest(bob).locator(selector).first).to_have_text(content, use_inner_text=True)
    # What only looks like it is what was written.
    for text in ("2 * 3 * 4 = 24", "snake_case_name", "a - b", "#channel", "1 > 0", "\\o/", "| a | b |"):
        await ann.say(text)
        await expect(newest(bob).locator("p")).to_have_text(text)


async def test_a_link_that_shows_another_address(person: People, unique: Unique) -> None:
    ann, bob = await room_for_two(person, unique)
    await ann.say("[https://bank.example](https://evil.example/login)")
    link = newest(bob).get_by_role("link")
    await expect(link).to_have_text("https://evil.example/login")
    await ann.say("[www.example.org](https://www.example.org/tea)")
    await expect(newest(bob).get_by_role("link")).to_have_text("www.example.org")


async def test_nothing_in_a_message_becomes_html(person: People, unique: Unique) -> None:
    ann, bob = await room_for_two(person, unique)
    title = await bob.page.title()
    for text in HOSTILE:
        await ann.say(text)
    await ann.say("*end*")
    await expect(newest(bob)).to_contain_text("end")
    await expect(newest(bob).locator("em")).to_have_text("end")
    for tag, attributes in await bob.log.locator(".bubble").evaluate_all(INSIDE):
        assert tag in ELEMENTS
        assert set(attributes) <= ATTRIBUTES
        if tag == "A":
            address = urlsplit(attributes["href"])
            assert address.scheme in ("http", "https", "mailto")
            assert attributes["rel"] == "noopener noreferrer"
    for link in await bob.log.get_by_role("link").all():
        await link.hover()
    assert await bob.page.title() == title
    # HTML is there as text.
    await expect(bob.log.get_by_text(HOSTILE[0], exact=True)).to_be_visible()


async def test_texts_made_to_be_slow(person: People, unique: Unique) -> None:
    ann, bob = await room_for_two(person, unique)
    await ann.say("*ready*")
    await expect(newest(bob).locator("em")).to_be_visible()
    for kind, text in DEEP.items():
        await ann.say(text)
        await ann.say(f"*after {kind}*")
        await expect(newest(bob).locator("em").first).to_have_text(f"after {kind}")
    depth = await bob.log.locator(".bubble").evaluate_all(DEPTH)
    assert depth <= 40
    assert await bob.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    # All of them at once, as somebody sees them who comes in.
    spent = await bob.page.evaluate(
        """async () => {
          const rows = [...document.querySelectorAll(".sidebar .row")];
          const open = (row) => new Promise(done => {
            row.click();
            requestAnimationFrame(() => setTimeout(done));
          });
          const here = rows.find(row => row.matches("[aria-current]"));
          await open(rows.find(row => row !== here));
          const begin = performance.now();
          await open(here);
          return performance.now() - begin;
        }"""
    )
    assert spent < 10_000


async def test_a_text_of_a_hundred_thousand_characters(person: People, demos: Demos, unique: Unique) -> None:
    """No user can send one to this server, but a server may."""
    demo = await demos()
    ann = await (await person(unique("Ann"), at=demo)).login()
    bob = await (await person(unique("Bob"), at=demo)).login()
    for text in ("*word* " * 14_300, "x" * 100_000, "**" * 50_000, "line\n" * 20_000):
        begin = time.monotonic()
        await demo.service.exec_user_command(
            {"user_name": ann.name, "bypass_hooks": True, "bypass_permissions": True},
            "roomMessage",
            "default",
            {"textMessage": text},
        )
        await ann.say("next")
        await expect(newest(bob)).to_contain_text("next")
        long = bob.log.locator(".message").nth(-2).locator(".bubble")
        assert len(await long.inner_text()) < 6000
        await expect(long.get_by_role("button", name="Show all")).to_be_visible()
        assert time.monotonic() - begin < 60
    await long.get_by_role("button", name="Show all").click()
    await expect(long.get_by_role("button", name="Show less")).to_be_visible()
    assert len(await long.locator("p").inner_text()) >= 100_000 - 1
    # It has its own scroll bar, so that what follows is not far away.
    box = await long.bounding_box()
    assert box is not None
    assert box["height"] < 760
    await long.get_by_role("button", name="Show less").click()
    await expect(long.get_by_role("button", name="Show all")).to_be_visible()


async def test_reactions_other_than_emoji(person: People, demos: Demos, unique: Unique) -> None:
    demo = await demos()
    ann = await (await person(unique("Ann"), at=demo)).login()
    bob = await (await person(unique("Bob"), at=demo)).login()
    await ann.say("hello")
    await bob.sees("hello")
    given = ["<b>x</b>", "W" * 64, "\u202eabc", "javascript:alert(1)"]
    for reaction in given:
        await demo.service.exec_user_command(
            ann.name,
            "roomMessage",
            "default",
            {"textMessage": ""},
            options={"reactsTo": 1, "reaction": reaction},
        )
    await expect(bob.log.locator(".reactions bdi")).to_have_text(given)
    for button in await bob.log.locator(".reactions button").all():
        box = await button.bounding_box()
        assert box is not None
        assert box["width"] <= 200
    assert await bob.log.locator(".reactions b").count() == 0


# Mentions


async def test_mentions_are_completed_and_marked(person: People, unique: Unique) -> None:
    ann, bob = await room_for_two(person, unique)
    await ann.composer.press_sequentially("hi @bo")
    options = ann.page.get_by_role("listbox", name="People to mention").locator("[role=option] bdi")
    await expect(options).to_have_text([bob.name])
    await expect(ann.page.get_by_role("listbox").get_by_role("option", selected=True)).to_have_count(1)
    await ann.composer.press("Enter")
    await expect(ann.composer).to_have_value(f"hi @{bob.name} ")
    await ann.composer.press_sequentially("and you, @")
    await expect(options).to_have_count(2)
    # The names are in their order; the arrow keys choose, and Tab takes.
    await expect(options.first).to_have_text(ann.name)
    await ann.composer.press("ArrowDown")
    await ann.composer.press("ArrowUp")
    await ann.composer.press("Tab")
    await expect(ann.composer).to_be_focused()
    text = f"hi @{bob.name} and you, @{ann.name}"
    await expect(ann.composer).to_have_value(text + " ")
    await ann.composer.press("Enter")
    await bob.sees(text)
    await expect(bob.log.locator(".mention")).to_have_text([f"@{bob.name}", f"@{ann.name}"])
    await expect(bob.log.locator(".mention.self")).to_have_text(f"@{bob.name}")
    await expect(ann.log.locator(".mention.self")).to_have_text(f"@{ann.name}")
    # Also within Markdown, and not in code.
    await bob.say(f"**@{ann.name} too** `@{ann.name}`")
    await expect(newest(ann).locator("strong .mention.self")).to_be_visible()
    await expect(newest(ann).locator(".mention")).to_have_count(1)
    # Nobody is meant by a mail address, or by a name that is not here.
    await bob.say(f"a@{ann.name} @nobody")
    await ann.sees("@nobody")
    await expect(newest(ann).locator(".mention")).to_have_count(0)
    # The list goes away without a choice.
    await ann.composer.press_sequentially("@")
    await expect(options).to_have_count(2)
    await ann.composer.press("Escape")
    await expect(options).to_have_count(0)
    await ann.composer.press("Enter")
    await expect(newest(bob)).to_contain_text("@")
    await ann.composer.press_sequentially("mail@b")
    await expect(options).to_have_count(0)
    # With the mouse.
    await ann.composer.fill("")
    await ann.composer.press_sequentially("@b")
    await options.first.click()
    await expect(ann.composer).to_have_value(f"@{bob.name} ")


async def test_emoji_are_inserted_where_the_caret_is(person: People, unique: Unique) -> None:
    ann, bob = await room_for_two(person, unique)
    await ann.composer.fill("ab")
    await ann.composer.press("ArrowLeft")
    await ann.click("Insert an emoji")
    picker = ann.page.get_by_role("dialog", name="Choose an emoji")
    await ann.page.get_by_label("Search emoji").fill("zzzz")
    await expect(picker.get_by_role("status")).to_have_text("No emoji found.")
    await ann.page.get_by_label("Search emoji").fill("red heart")
    await expect(picker.get_by_role("button", name="red heart", exact=True)).to_be_visible()
    await ann.page.get_by_label("Search emoji").press("Enter")
    await expect(ann.composer).to_be_focused()
    await expect(ann.composer).to_have_value("a❤️b")
    await ann.page.keyboard.type("!")
    await ann.composer.press("Enter")
    await bob.sees("a❤️!b")
    # A group, and what was used last; Escape changes nothing.
    await ann.click("Insert an emoji")
    used = picker.get_by_role("group", name="Used last").get_by_role("button")
    await expect(used.first).to_have_text("❤️")
    await picker.get_by_role("button", name="animals & nature").click()
    await expect(picker.get_by_role("button", name="monkey face", exact=True)).to_be_visible()
    await ann.page.keyboard.press("Escape")
    await expect(picker).to_have_count(0)
    await expect(ann.composer).to_have_value("")
    await expect(ann.composer).to_be_focused()


async def test_texts_that_are_not_as_expected(person: People, demos: Demos, unique: Unique) -> None:
    """The page shows what an earlier version, another client or the server itself has stored."""
    demo = await demos()
    ann = await (await person(unique("Ann"), at=demo)).login()
    await post(demo, "default", "", " \n ", "\x00\x01", "\ufffd")
    await ann.say("after")
    await ann.sees("after")
    await expect(ann.log.locator(".message")).to_have_count(5)
