"""What axe-core finds on a page of the web chat."""

from pathlib import Path
from typing import Any

from tests.browser.person import Person

ROOT = Path(__file__).parents[2]


async def violations(someone: Person) -> list[str]:
    """What axe-core finds on the page, with light colours and with dark ones."""
    if not await someone.page.evaluate("'axe' in window"):
        await someone.page.evaluate((ROOT / "node_modules/axe-core/axe.min.js").read_text("utf-8"))
    found: list[str] = []
    # Nothing but the colours differs.
    for scheme, rules in (("dark", ["color-contrast"]), ("light", None)):
        await someone.page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        judged: dict[str, Any] = await someone.page.evaluate(
            "rules => axe.run({ resultTypes: ['violations'], ...(rules && { runOnly: rules }) })", rules
        )
        found += [
            f"{scheme} {rule['impact']} {rule['id']}: {node['html'][:200]}\n{node['failureSummary']}"
            for rule in judged["violations"]
            for node in rule["nodes"]
        ]
    return found
