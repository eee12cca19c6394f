"""msgraph-sdk for Python: each call about presences."""

import asyncio
import datetime

from azure.identity.aio import ClientSecretCredential
from flow import APP, EMULATOR, SECRET, TENANT, USER, end, flow
from kiota_authentication_azure.azure_identity_authentication_provider import AzureIdentityAuthenticationProvider
from msgraph import GraphRequestAdapter, GraphServiceClient
from msgraph.generated.communications.get_presences_by_user_id.get_presences_by_user_id_post_request_body import (
    GetPresencesByUserIdPostRequestBody,
)
from msgraph.generated.models.body_type import BodyType
from msgraph.generated.models.date_time_time_zone import DateTimeTimeZone
from msgraph.generated.models.item_body import ItemBody
from msgraph.generated.models.presence_status_message import PresenceStatusMessage
from msgraph.generated.users.item.presence.clear_presence.clear_presence_post_request_body import (
    ClearPresencePostRequestBody,
)
from msgraph.generated.users.item.presence.set_presence.set_presence_post_request_body import (
    SetPresencePostRequestBody,
)
from msgraph.generated.users.item.presence.set_status_message.set_status_message_post_request_body import (
    SetStatusMessagePostRequestBody,
)
from msgraph.generated.users.item.presence.set_user_preferred_presence.set_user_preferred_presence_post_request_body import (
    SetUserPreferredPresencePostRequestBody,
)
from msgraph_core import GraphClientFactory
from msgraph_core.requests.batch_request_content import BatchRequestContent

# The SDK sends a `timedelta` as `1:00:00`, which is not a duration of Graph's. This is sent as it is.
AN_HOUR = {"expirationDuration": "PT1H"}


async def main():
    credential = ClientSecretCredential(TENANT, APP, SECRET, authority=EMULATOR, disable_instance_discovery=True)
    host = EMULATOR.split("//")[1].split(":")[0]
    provider = AzureIdentityAuthenticationProvider(
        credential, scopes=["https://graph.microsoft.com/.default"], allowed_hosts=[host]
    )
    adapter = GraphRequestAdapter(provider, client=GraphClientFactory.create_with_default_middleware(host=EMULATOR))
    adapter.base_url = f"{EMULATOR}/v1.0"
    graph = GraphServiceClient(request_adapter=adapter)
    presence = graph.users.by_user_id(USER).presence

    async def seen():
        read = await presence.get()
        return read.availability, read.activity

    with flow("msgraph-sdk: set"):
        await presence.set_presence.post(
            SetPresencePostRequestBody(
                session_id=APP, availability="Busy", activity="InACall", additional_data=AN_HOUR
            )
        )
    with flow("msgraph-sdk: read"):
        assert await seen() == ("Busy", "InACall"), await seen()
    with flow("msgraph-sdk: preferred presence"):
        await presence.set_user_preferred_presence.post(
            SetUserPreferredPresencePostRequestBody(
                availability="DoNotDisturb", activity="DoNotDisturb", additional_data=AN_HOUR
            )
        )
        assert (await seen())[0] == "DoNotDisturb", await seen()
    with flow("msgraph-sdk: clear the preferred presence"):
        await presence.clear_user_preferred_presence.post()
        assert (await seen())[0] == "Busy", await seen()
    with flow("msgraph-sdk: status message"):
        tomorrow = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=1)
        message = PresenceStatusMessage(
            message=ItemBody(content="Back tomorrow", content_type=BodyType.Text),
            expiry_date_time=DateTimeTimeZone(date_time=tomorrow.strftime("%Y-%m-%dT%H:%M:%S"), time_zone="UTC"),
        )
        await presence.set_status_message.post(SetStatusMessagePostRequestBody(status_message=message))
        read = await presence.get()
        assert read.status_message and read.status_message.message.content == "Back tomorrow", read.status_message
    with flow("msgraph-sdk: getPresencesByUserId"):
        read = await graph.communications.get_presences_by_user_id.post(
            GetPresencesByUserIdPostRequestBody(ids=[USER])
        )
        assert [one.availability for one in read.value] == ["Busy"], read
    with flow("msgraph-sdk: batch"):
        batch = BatchRequestContent()
        batch.add_request_information(presence.to_get_request_information())
        answers = (await graph.batch.post(batch)).responses.values()
        statuses = [answer.status for answer in answers]
        assert statuses == [200], statuses
    with flow("msgraph-sdk: clear"):
        await presence.clear_presence.post(ClearPresencePostRequestBody(session_id=APP))
        assert await seen() == ("Offline", "Offline"), await seen()
    await credential.close()


asyncio.run(main())
end()
