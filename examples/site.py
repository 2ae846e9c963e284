"""Three waves of pages; then run and files go back to wave 2, with a note, and go on differently.

python examples/site.py sqlite:///site.db ./site
"""

import sys

from holdfast import Holdfast, WorldHandle, directory, open_world, state, step, workflow


@step
def write_page(site: WorldHandle, name: str, tone: str) -> None:
    (site / name).write_text(f"{name}, {tone}\n")


@workflow
async def build_site(root: str) -> str:
    site = await open_world("site", directory(root, alone=True))
    tone = "plain"
    for wave in (1, 2, 3):
        tone = state().get("tone", tone)
        for page in "ab":
            await write_page(site, f"{wave}-{page}.html", tone)
        await site.checkpoint(f"wave {wave}")
    return tone


if __name__ == "__main__":
    with Holdfast(sys.argv[1]) as hf:
        site = hf.start(build_site, sys.argv[2], key="my site")
        print(site.result())
        hf.rewind(site.id, "wave 2", patch={"tone": "bold"}, note="wave 3 is too plain")
        print(site.result())
