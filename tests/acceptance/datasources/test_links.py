"""Links that work without a key, as someone tries them who was only given the link."""

import httpx2

from tests.support.api import ask, upload


async def test_a_link_with_anything_added_is_another_link(client: httpx2.AsyncClient) -> None:
    source = await upload(client, "a,b\n1,2\n")
    link = await ask(client, "POST", f"/datasources/{source['datasourceId']}/download", json={})
    url = link["downloadUrl"]
    async with httpx2.AsyncClient() as stranger:
        assert (await stranger.get(url)).text == "a,b\n1,2\n"
        for altered in (f"{url}?expires=1", f"{url}x", f"{url}=", f"{url}%00", url[:-1]):
            response = await stranger.get(altered)
            assert (response.status_code, response.json()["code"]) == (403, "LINK_INVALID"), altered
