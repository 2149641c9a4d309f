"""What each network can do about a call whose answer was lost."""

from __future__ import annotations

import pytest

from domain.models import RemoteMedia
from domain.standins import BlueskyStandIn, InstagramStandIn, LinkedInStandIn
from domain.standins.faults import FOR_EVER
from domain.use_cases.scheduling import InvalidPost
from tests.domain.files import an_image
from tests.domain.networks import OnNetwork, a_picture, every, work_on

pytestmark = pytest.mark.anyio


on_bluesky = pytest.mark.parametrize("on", ["bluesky"], indirect=True)


on_instagram = pytest.mark.parametrize("on", ["instagram"], indirect=True)


on_linkedin = pytest.mark.parametrize("on", ["linkedin"], indirect=True)


@pytest.mark.trap("a record with the time of the attempt is another record")
@on_bluesky
async def test_the_record_is_the_same_on_every_attempt(on: OnNetwork) -> None:
    assert isinstance(on.network, BlueskyStandIn)
    on.spoil("error")
    post_id = await on.schedule()
    await on.world.work()
    plan = (await on.world.post(post_id)).remote_plan
    on.spoil("drop")
    await work_on(on)
    post = await on.world.post(post_id)
    assert post.remote_plan == plan
    [record] = on.network.state()["posts"]
    assert record["written"] == 1
    assert record["record"]["createdAt"] == plan["created_at"]
    assert post.external_id == record["id"]
    assert record["id"].endswith(plan["rkey"])


@pytest.mark.trap("signing in for each call")
@on_bluesky
async def test_an_expired_token_is_renewed_in_place(on: OnNetwork) -> None:
    assert isinstance(on.network, BlueskyStandIn)
    on.network.expire_access()
    post_id = await on.schedule()
    await on.world.work()
    assert (await on.world.post(post_id)).status == "published"
    assert await on.world.attempts(post_id) == [("publish", "auth"), ("publish", "ok")]
    assert (on.network.called("refreshSession"), on.network.called("createSession")) == (1, 1)
    assert (await on.account()).token_version == 2
    assert await on.world.jobs() == [("completed", 1)]


@pytest.mark.trap("two renew a token that is good once")
@on_bluesky
async def test_two_posts_with_an_expired_token_renew_it_once(on: OnNetwork) -> None:
    assert isinstance(on.network, BlueskyStandIn)
    on.network.expire_access()
    posts = [await on.schedule(f"post {number}") for number in range(4)]
    await work_on(on)
    assert {(await on.world.post(post_id)).status for post_id in posts} == {"published"}
    assert on.network.called("refreshSession") == 1
    assert (await on.account()).token_version == 2


@on_bluesky
async def test_a_dead_grant_ends_the_account_and_pauses_its_later_posts(on: OnNetwork) -> None:
    assert isinstance(on.network, BlueskyStandIn)
    on.network.revoke()
    post_id = await on.schedule()
    later = await on.schedule("later")
    await on.world.execute(
        "UPDATE smm.scheduled_posts SET status = 'scheduled', scheduled_at = now() + interval '2 days' WHERE id = :id",
        id=later,
    )
    await work_on(on)
    post = await on.world.post(post_id)
    assert (post.status, post.failure_code) == ("failed", "ExpiredToken")
    account = await on.account()
    assert (account.status, account.status_reason) == ("needs_reauth", "ExpiredToken")
    paused = await on.world.post(later)
    assert (paused.status, paused.paused_from, paused.paused_reason) == ("paused", "scheduled", "reauth")


@on_instagram
async def test_a_container_that_is_not_ready_is_asked_again_later_without_an_attempt(on: OnNetwork) -> None:
    post_id = await on.schedule()
    await on.world.work()
    assert (await on.world.post(post_id)).status == "processing"
    assert on.texts() == []
    assert await on.world.jobs() == [("waiting", 0)]
    await work_on(on)
    assert await on.world.attempts(post_id) == [("upload", "ok"), *[("create", "ok")] * 3, ("publish", "ok")]


@on_instagram
async def test_a_container_that_has_expired_is_made_again(on: OnNetwork) -> None:
    assert isinstance(on.network, InstagramStandIn)
    post_id = await on.schedule()
    await on.world.work()
    on.network.expire_containers()
    await work_on(on)
    assert (await on.world.post(post_id)).status == "published"
    assert on.texts() == ["olá"]
    assert await on.world.rows("SELECT FROM smm.publish_attempts WHERE phase = 'upload'")


@on_instagram
async def test_publishing_the_same_container_again_would_have_made_a_second_post(on: OnNetwork) -> None:
    """The stand-in keeps the network's word: what saves us is looking first."""
    on.spoil("drop")
    post_id = await on.schedule()
    await work_on(on)
    assert await on.world.attempts(post_id) == [
        ("upload", "ok"),
        *[("create", "ok")] * 3,
        ("publish", "unknown"),
        ("reconcile", "ok"),
    ]
    assert isinstance(on.network, InstagramStandIn)
    assert on.network.called("media_publish") == 1


@on_linkedin
async def test_the_refusal_of_a_repeat_names_the_post_and_that_is_ours(on: OnNetwork) -> None:
    on.spoil("drop")
    post_id = await on.schedule("100% (novo) #pão")
    await work_on(on)
    post = await on.world.post(post_id)
    assert (post.status, post.external_id) == ("published", "urn:li:share:7000000000")


@on_linkedin
async def test_a_named_post_that_is_not_there_leaves_the_publication_unconfirmed(on: OnNetwork) -> None:
    assert isinstance(on.network, LinkedInStandIn)
    on.spoil("drop")
    on.network.hidden.add("urn:li:share:7000000000")
    post_id = await on.schedule()
    await work_on(on)
    assert (await on.world.post(post_id)).status == "unconfirmed"
    assert on.texts() == ["olá"]


@on_linkedin
async def test_the_same_text_again_on_purpose_fails_and_does_not_take_the_first_post_for_its_own(on: OnNetwork) -> None:
    first, second = await on.schedule("bom dia"), await on.schedule("bom dia")
    await work_on(on)
    states = sorted([(await on.world.post(post_id)).status for post_id in (first, second)])
    assert states == ["failed", "published"]
    assert on.texts() == ["bom dia"]


@pytest.mark.trap("the network has forgotten the key")
@on_linkedin
async def test_a_repeat_after_a_long_time_is_not_made(on: OnNetwork) -> None:
    on.spoil("drop")
    post_id = await on.schedule()
    await on.world.work()
    await on.world.execute("UPDATE smm.publish_attempts SET started_at = started_at - interval '11 minutes'")
    await work_on(on)
    assert (await on.world.post(post_id)).status == "unconfirmed"
    assert isinstance(on.network, LinkedInStandIn)
    assert on.network.called("POST /rest/posts") == 1


@pytest.mark.trap("a retry uploads all files again")
@pytest.mark.parametrize("on", ["mastodon", "bluesky"], indirect=True)
async def test_a_file_that_was_uploaded_is_not_uploaded_again(on: OnNetwork) -> None:
    content = an_image(size=(8, 8))
    pictures = [a_picture(on.world, content) for _ in range(2)]
    async with on.world.app.units.begin(on.world.tenant.context) as uow:
        uow.session.add_all(pictures)
    for picture in pictures:
        await on.world.app.publishing.publish_scheduled_post.prepare.attachments.shelf.put(  # type: ignore[attr-defined] # the store
            picture.storage_key, content
        )
    on.media_ids += [picture.id for picture in pictures]
    on.spoil("error")
    post_id = await on.schedule()
    await work_on(on)
    assert (await on.world.post(post_id)).status == "published"
    state = on.network.state()
    if isinstance(on.network, BlueskyStandIn):
        assert on.network.called("uploadBlob") == 2
        assert len(state["posts"][0]["record"]["embed"]["images"]) == 2
    else:
        assert state["uploads"] == 2
        assert [len(status["media"]) for status in state["statuses"]] == [2]
    async with on.world.app.units.sessions() as session:
        assert await session.get(RemoteMedia, (post_id, pictures[0].id))


@pytest.mark.trap("a file is attached and published before it is scanned")
@on_bluesky
async def test_a_post_waits_for_the_scan_of_its_file_and_an_infected_one_is_never_published(on: OnNetwork) -> None:
    picture = a_picture(on.world)
    picture.scan_status = "pending"
    async with on.world.app.units.begin(on.world.tenant.context) as uow:
        uow.session.add(picture)
    on.media_ids.append(picture.id)
    post_id = await on.schedule()
    await on.world.work()
    assert (await on.world.jobs()) == [("waiting", 0)]
    await on.world.execute("UPDATE smm.media SET scan_status = 'infected'")
    await work_on(on)
    post = await on.world.post(post_id)
    assert (post.status, post.failure_code) == ("failed", "media_refused")
    assert on.texts() == []


@pytest.mark.trap("a second worker starts while the first one still calls")
@on_bluesky
async def test_while_another_job_may_be_calling_nobody_else_does(on: OnNetwork) -> None:
    on.spoil("drop")
    post_id = await on.schedule()
    await on.world.work()
    await on.world.execute(
        "UPDATE smm.publish_attempts SET outcome = NULL, finished_at = NULL, trace_id = :other", other=post_id
    )
    calls = len(on.network.state()["calls"])
    await work_on(on, rounds=1)
    assert len(on.network.state()["calls"]) == calls
    await on.world.execute("UPDATE smm.publish_attempts SET started_at = started_at - interval '3 minutes'")
    await work_on(on)
    assert (await on.world.post(post_id)).status == "published"
    assert on.texts() == ["olá"]


@every
async def test_an_outage_without_end_leaves_the_truth(on: OnNetwork) -> None:
    on.spoil("drop", calls=FOR_EVER)
    post_id = await on.schedule()
    await work_on(on, rounds=7)
    # two networks tell by reading what the calls did, two only answer the call itself
    expected = {"bluesky": "published", "instagram": "published", "linkedin": "unconfirmed", "mastodon": "unconfirmed"}
    assert (await on.world.post(post_id)).status == expected[on.provider]
    assert on.texts() == ["olá"]


@pytest.mark.trap("captions with every nastiness of Unicode")
@on_bluesky
async def test_a_text_is_measured_as_its_network_does(on: OnNetwork) -> None:
    await on.schedule("👩‍👩‍👧‍👦" * 300)
    with pytest.raises(InvalidPost, match="301 characters"):
        await on.schedule("👩‍👩‍👧‍👦" * 301)


@on_instagram
async def test_a_network_of_pictures_takes_no_post_without_one(on: OnNetwork) -> None:
    on.media_ids.clear()
    with pytest.raises(InvalidPost, match="no post without a picture"):
        await on.schedule()
